/** `tandem run` with OpenVINO's stages as a user types them: ONNX Runtime's answers, mixed stages, budgets, bad rows, kills, and what it says where it is not set up. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { hostsOf, noProc } from '../fixtures/children.js';
import { openvinoHere } from '../fixtures/openvino-here.js';
import { beginPaced, interruptPaced, PACED, tandemPaced } from './paced-run.js';
import { tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-openvino-'));
before(() => {
  makeOnnx('mlp', join(cwd, 'mlp'), { layers: 4, hidden: 16 });
  makeRows(join(cwd, 'rows.npy'), 40, [16]);
  makeRows(join(cwd, 'more.npy'), 4_000, [16]);
  makeRows(join(cwd, 'bad.npy'), 40, [16], { badEvery: 7 });
});
after(() => rmSync(cwd, { recursive: true }));

const OPENVINO = ['-s', 'cpu,provider=openvino,layers=0..1,threads=1', '-s', 'cpu,provider=openvino,threads=1'];

/** Runs the model and returns its answers, behind the header of the NPY file. */
async function answers(output: string, ...flags: string[]): Promise<Float32Array> {
  const { status, stderr } = await tandem(['run', 'mlp', '-o', output, '-b', '4', '-q', ...flags], { cwd });
  assert.equal(status, 0, stderr);
  return valuesOf(output);
}

function valuesOf(output: string): Float32Array {
  const bytes = readFileSync(join(cwd, output));
  return new Float32Array(Uint8Array.from(bytes.subarray(10 + bytes.readUInt16LE(8))).buffer);
}

function assertNear(found: Float32Array, expected: Float32Array): void {
  assert.equal(found.length, expected.length);
  assert.ok(expected.some((value) => Math.abs(value) > 0.01));
  const far = found.reduce((most, value, n) => Math.max(most, Math.abs(value - expected[n]!)), 0);
  assert.ok(far <= 1e-5, `${far} off`);
}

suite('tandem run, OpenVINO', openvinoHere, () => {
  let expected: Float32Array;
  before(async () => {
    expected = await answers('ort.npy', '-i', 'rows.npy', '-s', 'cpu,provider=cpu');
  });

  const ways: Record<string, string[]> = {
    'one stage': ['-s', 'cpu,provider=openvino'],
    'two stages in processes': OPENVINO,
    'two stages in threads': [...OPENVINO, '--isolation', 'thread'],
    'two workers': ['-s', 'cpu,provider=openvino,workers=2,threads=1'],
    'a stage of each engine': ['-s', 'cpu,provider=openvino,layers=0..1', '-s', 'cpu,provider=cpu'],
    'replicas of both engines': ['-s', 'cpu,provider=openvino,threads=1+cpu,provider=cpu,threads=1'],
    'a measured plan within budgets': [
      ...['-s', 'cpu,provider=openvino,memory=1GiB,threads=1', '-s', 'cpu,provider=cpu,memory=1GiB,threads=1'],
      ...['--plan', 'auto'],
    ],
  };
  for (const [n, [name, flags]] of Object.entries(ways).entries()) {
    test(`${name}: the answers of ONNX Runtime`, async () => {
      assertNear(await answers(`way-${n}.npy`, '-i', 'rows.npy', ...flags), expected);
    });
  }

  test('a stage reports the device that OpenVINO names, and the job its build', async () => {
    const { status, stdout, stderr } = await tandem(
      ['run', 'mlp', '-i', 'rows.npy', '-o', 'told.npy', ...OPENVINO, '--json'],
      { cwd },
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout.toString(), /"engine": ?"openvino"/);
    assert.match(stdout.toString(), /, through OpenVINO"/);
  });

  test('a budget that cannot hold it is refused before it loads', async () => {
    const flags = ['-s', 'cpu,provider=openvino,memory=1MiB', '--plan', 'auto'];
    const { status, stderr } = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', 'no.npy', ...flags], { cwd });
    assert.equal(status, 78, stderr);
    assert.match(stderr, /TANDEM_PLAN_IMPOSSIBLE/);
  });

  test('bad rows are found singly', async () => {
    const run = (output: string, ...flags: string[]) =>
      tandem(['run', 'mlp', '-i', 'bad.npy', '-o', output, '-b', '4', '-q', '--allow-errors', ...flags], { cwd });
    const { status, stderr } = await run('bad-ov.npy', ...OPENVINO);
    assert.equal((await run('bad-ort.npy', '-s', 'cpu,provider=cpu')).status, status, stderr);
    const failed = (output: string) => readFileSync(join(cwd, `${output}.errors.jsonl`), 'utf8');
    assert.equal(failed('bad-ov.npy'), failed('bad-ort.npy'));
    assert.equal(failed('bad-ov.npy').trim().split('\n').length, 5);
  });

  // The second stage waits for the interruption, so that it comes in time on any machine.
  const paced = (output: string) => [
    ...['run', 'mlp', '-i', 'more.npy', '-o', output, '-b', '1', '-q', '--isolation', 'process'],
    ...['-s', 'cpu,provider=openvino,layers=0..1', '-s', PACED],
  ];

  test('killed and run again, it ends with the same bytes; another engine does not go on with it', async () => {
    assert.equal((await tandemPaced(paced('whole.npy'), { cwd })).status, 0);
    await interruptPaced(paced('killed.npy'), { cwd, output: 'killed.npy', signal: 'SIGKILL' });
    const other = paced('killed.npy').map((flag) => flag.replace('provider=openvino', 'provider=cpu'));
    const refused = await tandemPaced(other, { cwd });
    assert.equal(refused.status, 73);
    assert.match(refused.stderr, /TANDEM_JOURNAL_MISMATCH/);
    const again = await tandemPaced(paced('killed.npy'), { cwd });
    assert.equal(again.status, 0, again.stderr);
    assert.ok(readFileSync(join(cwd, 'killed.npy')).equals(readFileSync(join(cwd, 'whole.npy'))));
    assertNear(valuesOf('whole.npy').subarray(0, expected.length), expected);
  });

  test('stages that are killed are restarted, and the answers are the same', { skip: noProc }, async () => {
    const gate = join(cwd, 'gate');
    writeFileSync(gate, '');
    const run = await beginPaced(paced('restarted.npy'), gate, { cwd, output: 'restarted.npy' });
    const stages = hostsOf(run.child.pid!);
    assert.equal(stages.length, 2);
    for (const pid of stages) process.kill(pid, 'SIGKILL');
    rmSync(gate);
    const { status, stderr } = await run.ended;
    assert.equal(status, 0, stderr);
    assertNear(valuesOf('restarted.npy').subarray(0, expected.length), expected);
    assert.equal(valuesOf('restarted.npy').length, 100 * expected.length);
  });
});

test('where it is not set up it is refused with what to type, and nothing else changes', async () => {
  const env = { XDG_CACHE_HOME: join(cwd, 'empty') };
  const run = (...flags: string[]) =>
    tandem(['run', 'mlp', '-i', 'rows.npy', '-o', `absent-${flags.length}.npy`, '-q', ...flags], { cwd, env });
  const { status, stderr } = await run('-s', 'cpu,provider=openvino');
  assert.equal(status, 78);
  assert.match(stderr, /OpenVINO is not set up \[TANDEM_ENGINE_MISSING\]\s+npx tandem setup openvino/);
  assert.equal((await run()).status, 0);
  const setup = await tandem(['setup'], { cwd, env });
  if (process.platform === 'linux') assert.match(setup.stdout.toString(), /^openvino +can be used +\d+ MB/m);
});
