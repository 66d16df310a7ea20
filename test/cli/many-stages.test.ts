/** More stages on the CPU than there are cores, with nothing else named: they run, share the cores, and give the answers of one stage. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { assertFails, type Ended, start, TANDEM } from './tandem-process.js';

const ROWS = 30;
const WIDTH = 16;
const MODELS = ['onnx', 'tfjs'] as const;

let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-many-'));
  makeOnnx('mlp', join(folder, 'onnx'), { layers: 5 });
  await makeModel('mlp', join(folder, 'tfjs'), { width: WIDTH, blocks: 4, length: WIDTH });
  makeRows(join(folder, 'onnx.npy'), ROWS, [WIDTH]);
  makeRows(join(folder, 'tfjs.npy'), ROWS, [WIDTH]);
});
after(() => rmSync(folder, { recursive: true }));

const pinned = (() => {
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

interface Typed {
  readonly plan: 'auto' | 'quick';
  /** Cores that the command may use; all where it is left out. */
  readonly cores?: 1;
}

/** The command line as typed, on a cache that all tests here share. */
async function type(args: readonly string[], { plan, cores }: Typed): Promise<Ended> {
  const env = { XDG_CACHE_HOME: join(folder, 'cache'), TANDEM_PLAN: plan };
  const program = cores ? 'taskset' : process.execPath;
  const command = [...(cores ? ['-c', '0', process.execPath] : []), TANDEM, ...args];
  const { child, ended } = start(program, command, { cwd: folder, env });
  child.stdin!.end();
  return ended;
}

let runs = 0;

/** The bytes of the output. */
async function answers(
  model: string,
  stages: readonly string[],
  how: Typed,
): Promise<{ bytes: Buffer; stderr: string }> {
  const output = `${runs++}.npy`;
  const flags = stages.flatMap((stage) => ['--stage', stage]);
  const { status, stderr } = await type(['run', model, '-i', `${model}.npy`, '-o', output, '-b', '8', ...flags], how);
  assert.equal(status, 0, `${stages.join(' ')}: ${stderr}`);
  return { bytes: readFileSync(join(folder, output)), stderr };
}

for (const model of MODELS) {
  const counts = model === 'onnx' ? [2, 3, 4, 5] : [3, 5];
  test(`so many stages on the CPU compute what one does, without measuring: ${counts.join(', ')} (${model})`, async () => {
    const { bytes } = await answers(model, ['cpu'], { plan: 'quick' });
    for (const count of counts) {
      const many = await answers(model, new Array(count).fill('cpu'), { plan: 'quick' });
      assert.deepEqual(many.bytes, bytes, `${count} stages`);
    }
  });

  test(`a measured plan of five stages shares the cores and prints that it does not pay (${model})`, async (t) => {
    if (!pinned) return t.skip('no taskset here');
    const { bytes } = await answers(model, ['cpu'], { plan: 'quick' });
    const flags = ['-b', '8', ...new Array(5).fill('--stage=cpu')];
    const planned = await type(['plan', model, '-o', `${model}.json`, ...flags], { plan: 'auto', cores: 1 });
    assert.equal(planned.status, 0, planned.stderr);
    assert.match(planned.stdout.toString(), /keep 5 threads busy on 1 core, which does not pay/);
    assert.match(planned.stdout.toString(), /1 stage: cpu, 1 x 1 thread/, 'what one would do');
    const run = ['run', model, '-i', `${model}.npy`, '-o', `${model}-5.npy`, '--plan', `${model}.json`];
    const ran = await type(run, { plan: 'auto', cores: 1 });
    assert.equal(ran.status, 0, ran.stderr);
    assert.deepEqual(readFileSync(join(folder, `${model}-5.npy`)), bytes);
  });

  test(`five stages that nobody measured, since the job is short, say that they do not pay (${model})`, async (t) => {
    if (!pinned) return t.skip('no taskset here');
    const { bytes } = await answers(model, ['cpu'], { plan: 'quick' });
    const many = await answers(model, new Array(5).fill('cpu'), { plan: 'auto', cores: 1 });
    assert.deepEqual(many.bytes, bytes);
    assert.match(many.stderr, /keep 5 threads busy on 1 core, which does not pay/);
  });
}

test('replicas, named workers and threads: on one core too', async (t) => {
  if (!pinned) return t.skip('no taskset here');
  const { bytes } = await answers('onnx', ['cpu'], { plan: 'quick' });
  for (const stages of [
    ['cpu+cpu', 'cpu'],
    ['cpu,workers=3', 'cpu,threads=2', 'cpu'],
  ]) {
    const many = await answers('onnx', stages, { plan: 'auto', cores: 1 });
    assert.deepEqual(many.bytes, bytes, stages.join(' '));
  }
});

test('plan makes one of three stages for one core, and run takes it', async (t) => {
  if (!pinned) return t.skip('no taskset here');
  const flags = ['-b', '8', ...new Array(3).fill('--stage=cpu')];
  const planned = await type(['plan', 'onnx', '-o', 'plan.json', ...flags], { plan: 'auto', cores: 1 });
  assert.equal(planned.status, 0, planned.stderr);
  assert.match(planned.stdout.toString(), /keep 3 threads busy on 1 core/);
  const ran = await type(['run', 'onnx', '-i', 'onnx.npy', '-o', 'planned.npy', '--plan', 'plan.json'], {
    plan: 'auto',
    cores: 1,
  });
  assert.equal(ran.status, 0, ran.stderr);
});

for (const plan of ['auto', 'quick'] as const) {
  test(`more stages than the model has layers are refused before anything is measured (${plan})`, async () => {
    const flags = new Array(6).fill('--stage=cpu');
    const refused = await type(['run', 'onnx', '-i', 'onnx.npy', '-o', 'no.npy', ...flags], { plan });
    assertFails(refused, {
      status: 2,
      code: 'TANDEM_LAYERS_INVALID',
      says: /5 layers and 4 cut points, too few for 6 stages/,
    });
    assert.match(refused.stderr, /at most 5 --stage/);
    assert.doesNotMatch(refused.stderr, /measuring/);
  });
}
