/** WAV files in windows with carried state: each file's results are those of its windows one after another, whatever runs beside them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { stateBeside } from '../../scripts/make-onnx/rows-models.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { wavBytes } from '../fixtures/wav-bytes.js';
import { interruptPaced, PACED, tandemPaced } from './paced-run.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-sound-'));
const at = (name: string) => join(cwd, name);
/** Windows of 6 samples: what the model takes. */
const LENGTHS = [25, 3, 6, 600, 7, 100, 1, 60, 31, 12];
const soundOf = (file: number) =>
  Array.from({ length: LENGTHS[file]! }, (_, n) => Math.round(Math.sin(n * (file + 1)) * 2 ** 14) / 2 ** 15);
const nameOf = (file: number) => `calls/${file}.wav`;
const ASKED = ['--set', 'sr=16000', '--window', '6', '--carry', 'state=stateN'];

type Line = { id: string; outputs: { output: number[][] } };
const linesOf = (name: string): Line[] =>
  readFileSync(at(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The windows of one file through the engine itself, one by one: `window` samples, of which `lead` are of the window before. */
async function expectedOf(
  session: InferenceSession,
  samples: readonly number[],
  { window, lead, width } = { window: 6, lead: 0, width: 4 },
): Promise<number[][]> {
  const found: number[][] = [];
  let state = new Float32Array(2 * width);
  for (let at = 0; at < samples.length; at += window - lead) {
    const input = Float32Array.from({ length: window }, (_, n) => samples[at - lead + n] ?? 0);
    const result = await session.run({
      input: new Tensor('float32', input, [1, window]),
      state: new Tensor('float32', state, [2, 1, width]),
      sr: new Tensor('int64', [16000n], []),
    });
    found.push([...(result.output!.data as Float32Array)]);
    state = Float32Array.from(result.stateN!.data as Float32Array);
  }
  return found;
}

const expected: number[][][] = [];

before(async () => {
  const model = makeOnnx('state-beside', at('vad'));
  mkdirSync(at('calls'));
  const session = await InferenceSession.create(model);
  for (const file of LENGTHS.keys()) {
    writeFileSync(at(nameOf(file)), wavBytes({ samples: soundOf(file) }));
    expected.push(await expectedOf(session, soundOf(file)));
  }
  await session.release();
});
after(() => rmSync(cwd, { recursive: true }));

function check(lines: readonly Line[], files: readonly number[]): void {
  assert.deepEqual(
    lines.map(({ id }) => id),
    files.map(nameOf),
  );
  for (const [n, { outputs }] of lines.entries()) {
    const own = expected[files[n]!]!;
    assert.equal(outputs.output.length, own.length, 'one result for each window');
    for (const [window, values] of outputs.output.entries()) {
      assert.ok(Math.abs(values[0]! - own[window]![0]!) < 1e-6, `${nameOf(files[n]!)}, window ${window}`);
    }
    assert.deepEqual(Object.keys(outputs), ['output'], 'what is carried is no result');
  }
}

const ALL = [...LENGTHS.keys()];

suite('sound', { concurrency: 2 }, () => {
  for (const [name, stages] of [
    ['one file at a time', ['-b', '1', '--depth', '1']],
    ['several at once', ['-b', '4']],
    ['two stages and two workers', ['-b', '2', '-s', 'cpu,layers=0..1', '-s', 'cpu,layers=2..2,workers=2']],
  ] as const) {
    test(`${name}: the state goes from window to window of the same file`, async () => {
      const output = `${name.replaceAll(' ', '-')}.jsonl`;
      const { status, stderr } = await tandem(['run', 'vad', '-i', 'calls', '-o', output, ...ASKED, ...stages], {
        cwd,
      });
      assert.equal(status, 0, stderr);
      assert.match(
        stderr,
        /windows of 6 samples, one every 6, 16000 samples in a second, stateN of a window is state of the next/,
      );
      check(linesOf(output), ALL);
    });
  }

  test('files that cannot be used are failed rows, and the others are as before', async () => {
    mkdirSync(at('mixed/calls'), { recursive: true });
    const put = (name: string, bytes: Buffer) => writeFileSync(at(`mixed/${name}`), bytes);
    put('calls/0.wav', wavBytes({ samples: soundOf(0) }));
    put('calls/1.wav', wavBytes({ samples: soundOf(1), rate: 8000 }));
    put('calls/2.wav', wavBytes({ samples: soundOf(2), channels: 2 }));
    put('calls/3.wav', wavBytes({ samples: soundOf(3) }).subarray(0, 500));
    put('calls/4.wav', Buffer.from('ID3 an mp3 in truth'));
    put('calls/5.wav', wavBytes({ samples: soundOf(5) }));
    const late = [...soundOf(6), ...Array<number>(40_000).fill(0), Number.NaN];
    put('calls/6.wav', wavBytes({ samples: late, encoding: 'f32' }));
    const args = ['run', '../vad', '-i', 'calls', '-o', 'out.jsonl', ...ASKED, '-b', '4', '--isolation', 'thread'];
    const { status, stderr } = await tandem(args, { cwd: at('mixed') });
    assert.equal(status, 65, stderr);
    check(linesOf('mixed/out.jsonl'), [0, 5]);
    const errors = readFileSync(at('mixed/out.jsonl.errors.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      errors.map(({ index, code }) => [index, code]),
      [...[1, 2, 3, 4].map((index) => [index, 'TANDEM_ROW_INVALID']), [6, 'TANDEM_ROW_NOT_FINITE']],
    );
    for (const [n, says] of [/8000 samples in a second/, /2 channels/, /cut short/, /no WAV file/, /NaN/].entries()) {
      assert.match(errors[n].message, says);
    }
  });

  test('a model of the sizes of silero-vad, whose windows begin with the end of the one before', async () => {
    mkdirSync(at('silero'));
    const model = writeModel(at('silero/model.onnx'), stateBeside(1, 576, 128));
    const session = await InferenceSession.create(model);
    const samples = Array.from({ length: 5000 }, (_, n) => Math.round(Math.sin(n / 9) * 2 ** 14) / 2 ** 15);
    const own = await expectedOf(session, samples, { window: 576, lead: 64, width: 128 });
    await session.release();
    writeFileSync(at('speech.wav'), wavBytes({ samples }));
    const asked = ['--set', 'sr=16000', '--window', '576,hop=512,lead=64', '--carry', 'state=stateN'];
    const { status, stderr } = await tandem(['run', 'silero', 'speech.wav', '-o', 'speech.jsonl', ...asked], { cwd });
    assert.equal(status, 0, stderr);
    const [line] = linesOf('speech.jsonl');
    assert.equal(line!.outputs.output.length, Math.ceil(5000 / 512));
    for (const [n, [value]] of line!.outputs.output.entries()) assert.ok(Math.abs(value! - own[n]![0]!) < 1e-5);
  });

  test('killed and resumed: the same bytes', async () => {
    mkdirSync(at('many'));
    for (let n = 0; n < 150; n++)
      writeFileSync(at(`many/${n}.wav`), wavBytes({ samples: soundOf(n % LENGTHS.length) }));
    const own = [...ASKED, '-b', '2', '-s', PACED, '-q'];
    const args = (output: string) => ['run', 'vad', '-i', 'many/*.wav', '-o', output, ...own];
    const whole = await tandemPaced(args('whole.jsonl'), { cwd });
    assert.equal(whole.status, 0, whole.stderr);
    assert.equal(
      (await interruptPaced(args('killed.jsonl'), { cwd, output: 'killed.jsonl', signal: 'SIGKILL' })).status,
      137,
    );
    const resumed = await tandemPaced(args('killed.jsonl'), { cwd });
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.ok(readFileSync(at('killed.jsonl')).equals(readFileSync(at('whole.jsonl'))));
  });

  test('what is wrong with the request is refused before anything runs', async () => {
    const fails = async (says: RegExp, args: readonly string[], output = 'refused.jsonl', code = 'TANDEM_USAGE') =>
      assertFails(await tandem(['run', 'vad', '-i', 'calls', '-o', output, ...args], { cwd }), {
        status: 2,
        code,
        says,
      });
    const sr = ['--set', 'sr=16000'];
    const carry = ['--carry', 'state=stateN'];
    await fails(/how many samples.*\n.*--window 6/, [...sr, ...carry]);
    await fails(/takes 6 samples/, [...sr, ...carry, '--window', '512']);
    await fails(/how many samples in a second.*\n.*rate=16000/, ['--set', 'sr=0', ...carry, '--window', '6']);
    await fails(/rate=8000, and --set says 16000/, [...sr, ...carry, '--window', '6,rate=8000']);
    await fails(/"input".*and "state".*\n.*--carry INPUT=OUTPUT/, [...sr, '--window', '6']);
    await fails(/named "stat".*\n.*did you mean state\?/, [...sr, '--window', '6', '--carry', 'stat=stateN']);
    await fails(/named "stateM".*\n.*did you mean stateN\?/, [...sr, '--window', '6', '--carry', 'state=stateM']);
    await fails(/output is float32 \[1\], and state takes/, [...sr, '--window', '6', '--carry', 'state=output']);
    await fails(
      /as long as each file has windows/,
      [...sr, ...carry, '--window', '6'],
      'x.npy',
      'TANDEM_OUTPUT_UNSUPPORTED',
    );
    const rows = await tandem(['run', 'vad', '-i', 'x.jsonl', '-o', 'y.jsonl', ...sr, '--window', '6'], { cwd });
    assertFails(rows, { status: 2, code: 'TANDEM_USAGE', says: /--window is given, and x\.jsonl is jsonl/ });
  });
});
