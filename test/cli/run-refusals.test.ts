/** What `tandem run` refuses before the first row: each with a code, an exit status, a word on what to do, and nothing left behind. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { OutputLock } from '../../src/output/lock.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-refused-'));
const at = (name: string) => join(cwd, name);

function npy(descr: string, shape: readonly number[], { fortran = false, bytes = 4 } = {}): Buffer {
  const data = new Uint8Array(shape.reduce((a, b) => a * b) * bytes);
  return npyBytes({ descr, shape, data, fortran });
}

/** A copy of the model whose model.json has been changed. */
function changedModel(name: string, change: (manifest: { weightsManifest: { paths: string[] }[] }) => void): void {
  cpSync(at('mlp'), at(name), { recursive: true });
  const manifest = JSON.parse(readFileSync(at('mlp/model.json'), 'utf8'));
  change(manifest);
  writeFileSync(at(`${name}/model.json`), JSON.stringify(manifest));
}

before(async () => {
  await makeModel('mlp', at('mlp'), { width: 8, length: 16 });
  await makeModel('two-in-two-out', at('two'));
  mkdirSync(at('broken'));
  writeFileSync(at('broken/model.json'), '{"format": "layers-model", "modelTop');
  changedModel('shardless', ({ weightsManifest }) => {
    weightsManifest[0]!.paths = ['gone.bin'];
  });
  changedModel('escaping', ({ weightsManifest }) => {
    weightsManifest[0]!.paths = ['../x.npy'];
  });
  changedModel('short', () => {});
  truncateSync(at(`short/${readdirSync(at('short')).find((name) => name.endsWith('.bin'))}`), 100);
  writeFileSync(at('x.npy'), npy('<f4', [3, 16]));
  writeFileSync(at('narrow.npy'), npy('<f4', [3, 15]));
  writeFileSync(at('text.npy'), npy('<U1', [3, 16]));
  writeFileSync(at('objects.npy'), npy('|O', [3, 16], { bytes: 8 }));
  writeFileSync(at('fortran.npy'), npy('<f4', [3, 16], { fortran: true }));
  writeFileSync(at('cut.npy'), npy('<f4', [3, 16]).subarray(0, 200));
  for (const name of ['empty.npy', 'empty.npz', 'empty.jsonl']) writeFileSync(at(name), '');
  writeFileSync(at('there.npy'), 'precious');
});
after(() => rmSync(cwd, { recursive: true }));

interface Refusal {
  readonly model?: string;
  readonly input?: string;
  readonly output?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
}

const usage = (flags: readonly string[], says: RegExp, code = 'TANDEM_USAGE'): Refusal => ({
  flags,
  status: 2,
  code,
  says,
});
const model = (name: string, code: string, says: RegExp): Refusal => ({ model: name, status: 2, code, says });
const input = (name: string, code: string, says: RegExp): Refusal => ({ input: name, status: 2, code, says });
const output = (name: string, code: string, says: RegExp, status = 73): Refusal => ({
  output: name,
  status,
  code,
  says,
});
const [S, LAYERS] = ['--stage', 'TANDEM_LAYERS_INVALID'];

const REFUSALS: Record<string, Refusal> = {
  'a flag that does not exist': usage(['--inptu', 'x.npy'], /unknown option '--inptu'.*\n.*did you mean --input\?/),
  'a setting of a stage that does not exist': usage(
    [S, 'cpu,thread=2'],
    /--stage cpu,thread=2: .*\n.*did you mean threads=\?/,
  ),
  'a device that does not exist': usage([S, 'tpu'], /"tpu" is not a device.*\n.*cpu, gpu/),
  'a provider that the engine does not have': usage(
    [S, 'cpu,provider=cuda'],
    /no provider "cuda".*\n.*provider=tensorflow/,
  ),
  'a variable that is wrong': {
    ...usage([], /TANDEM_ISOLATION "proces" is not one of auto, thread, process.*\n.*did you mean process\?/),
    env: { TANDEM_ISOLATION: 'proces' },
  },
  'layers that the model does not have': usage([S, 'cpu,layers=0..9'], /0\.\.9; the model has 0\.\.3/, LAYERS),
  'layers that no stage has': usage([S, 'cpu,layers=0..1', S, 'cpu,layers=3..3'], /2\.\.2 belong to no stage/, LAYERS),
  'layers that two stages have': usage([S, 'cpu,layers=0..2', S, 'cpu,layers=2..3'], /belong to two stages/, LAYERS),
  'a model that does not fit the memory': {
    ...usage([S, 'cpu,memory=1KiB'], /may hold.*\n.*memory=1MiB/),
    ...{ status: 78, code: 'TANDEM_PLAN_IMPOSSIBLE' },
  },
  'no model': model('nowhere', 'TANDEM_MODEL_MISSING', /no model at nowhere/),
  'a model.json that ends in the middle': model('broken', 'TANDEM_MODEL_INVALID', /model\.json is not JSON/),
  'a weight shard that is not there': model('shardless', 'TANDEM_WEIGHTS_MISSING', /gone\.bin/),
  'a weight shard that is too short': model('short', 'TANDEM_WEIGHTS_SHORT', /100/),
  'a weight path that leaves the folder': model('escaping', 'TANDEM_WEIGHTS_ESCAPE', /\.\.\/x\.npy/),
  'no input': input('nowhere.npy', 'TANDEM_INPUT_MISSING', /nowhere\.npy.*there is no such file/),
  'an extension that is not a row format': input('x.dat', 'TANDEM_USAGE', /x\.dat is not that of a row format/),
  'an empty NPY': input('empty.npy', 'TANDEM_INPUT_INVALID', /empty\.npy/),
  'an empty NPZ': input('empty.npz', 'TANDEM_INPUT_INVALID', /empty\.npz/),
  'no lines': input('empty.jsonl', 'TANDEM_INPUT_EMPTY', /empty\.jsonl has no rows/),
  'an NPY that ends in the middle': input('cut.npy', 'TANDEM_INPUT_INVALID', /cut\.npy/),
  'rows of another shape': input('narrow.npy', 'TANDEM_INPUT_INVALID', /narrow\.npy.*15/),
  'rows of text': input('text.npy', 'TANDEM_INPUT_INVALID', /text\.npy/),
  'an array of Python objects': input('objects.npy', 'TANDEM_INPUT_INVALID', /objects\.npy.*object/),
  'an array in Fortran order': input('fortran.npy', 'TANDEM_INPUT_INVALID', /Fortran.*\n.*ascontiguousarray/),
  'one array for two inputs': {
    ...input('x.npy', 'TANDEM_INPUT_INVALID', /2 inputs: left, right.*\n.*left=left\.npy/),
    ...{ model: 'two', output: 'out.npz' },
  },
  'an output that exists': output('there.npy', 'TANDEM_OUTPUT_EXISTS', /there\.npy exists already.*\n.*--force/),
  'an output in a folder that does not exist': output('no/out.npy', 'TANDEM_OUTPUT_FAILED', /folder no does not exist/),
  'an output that replaces the input': {
    ...output('x.npy', 'TANDEM_USAGE', /replace the input/, 2),
    flags: ['--force'],
  },
  '--json and rows on one stdout': { ...output('-', 'TANDEM_USAGE', /both want stdout/, 2), flags: ['--json'] },
};

const everything = () => readdirSync(cwd, { recursive: true, encoding: 'utf8' }).sort();

suite('tandem run refuses', { concurrency: 2 }, () => {
  let present: string[];
  before(() => {
    present = everything();
  });
  after(() => {
    assert.deepEqual(everything(), present, 'nothing may be left behind');
    assert.equal(readFileSync(at('there.npy'), 'utf8'), 'precious');
  });
  for (const [n, [name, refusal]] of Object.entries(REFUSALS).entries()) {
    test(name, async () => {
      const { flags = [], env, ...expected } = refusal;
      const args = ['-i', refusal.input ?? 'x.npy', '-o', refusal.output ?? `out-${n}.npy`, ...flags];
      assertFails(await tandem(['run', refusal.model ?? 'mlp', ...args], { cwd, env }), expected);
    });
  }
});

test('an output that another process writes', async () => {
  const lock = await OutputLock.take(at('busy.npy'));
  try {
    const ended = await tandem(['run', 'mlp', '-i', 'x.npy', '-o', 'busy.npy'], { cwd });
    const says = new RegExp(`being written by process ${process.pid}.*\n.*wait until it has ended`);
    assertFails(ended, { status: 73, code: 'TANDEM_OUTPUT_EXISTS', says });
  } finally {
    await lock.release();
  }
});

test('a verb that is missing or wrong, no input, and a configuration with an unknown key', async () => {
  const none = await tandem([], { cwd });
  assert.equal(none.status, 2);
  assert.match(none.stderr, /^Usage: tandem/);
  const says = /unknown command 'rum'.*\n.*did you mean run\?/;
  assertFails(await tandem(['rum'], { cwd }), { status: 2, code: 'TANDEM_USAGE', says });
  const noInput = await tandem(['run', 'mlp'], { cwd });
  assertFails(noInput, { status: 2, code: 'TANDEM_USAGE', says: /--input FILE is missing.*\n.*tandem run --help/ });
  writeFileSync(at('mlp/tandem.config.json'), '{ "microbatch": 3 }');
  const configured = await tandem(['run', '.', '-i', '../x.npy', '-o', 'out.npy'], { cwd: at('mlp') });
  const unknown = /tandem\.config\.json: there is no setting "microbatch".*\n.*did you mean microBatch\?/;
  assertFails(configured, { status: 2, code: 'TANDEM_USAGE', says: unknown });
});
