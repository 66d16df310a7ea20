/** Replicas on several devices, from a shell: the whole model's answers in the order of the rows, and the same bytes after a kill. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { tensorflow } from '../fixtures/tfjs-runs.js';
import { interrupt } from './interrupted-run.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-replicas-'));
/** More than a second of work, after which the journal is told of rows for the first time. */
const ROWS = 24_000;
const MICRO_BATCH = 4;
/** Kernels of another device add up in another order. */
const TOLERANCE = 1e-5;
before(async () => {
  await makeModel('mlp', join(cwd, 'keras'));
  makeOnnx('mlp', join(cwd, 'onnx'), { layers: 2, hidden: 16 });
  makeRows(join(cwd, 'rows.npy'), ROWS, [16]);
});
after(() => rmSync(cwd, { recursive: true }));

const argsFor = (model: string, output: string, stage: string, ...more: string[]) => {
  const fixed = ['-i', 'rows.npy', '-o', output, '-b', String(MICRO_BATCH), '--stage', stage, '-q', '--json'];
  return ['run', model, ...fixed, ...more];
};
async function run(model: string, output: string, stage: string, ...more: string[]) {
  const { status, stdout, stderr } = await tandem(argsFor(model, output, stage, ...more), { cwd });
  assert.equal(status, 0, stderr);
  return JSON.parse(String(stdout)) as { stages: { device: string; beside: boolean; turns: number }[] };
}
function valuesOf(output: string): Float32Array {
  const bytes = readFileSync(join(cwd, output));
  const begin = 10 + bytes.readUInt16LE(8);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + bytes.length));
}
function assertClose(output: string, whole: string): void {
  const [a, b] = [valuesOf(output), valuesOf(whole)];
  assert.equal(a.length, b.length);
  const worst = a.reduce((most, value, n) => Math.max(most, Math.abs(value - b[n]!)), 0);
  assert.ok(worst <= TOLERANCE, `differs by ${worst}`);
}

const TWO = 'cpu,layers=0..3,provider=tensorflow,threads=1,turns=3+cpu,provider=wasm,threads=1';

for (const isolation of ['thread', 'process']) {
  const { skip } = tensorflow;
  test(`${isolation}: WebAssembly and TensorFlow`, { skip }, async () => {
    await run('keras', `whole-${isolation}.npy`, 'cpu,layers=0..3,provider=tensorflow,threads=1');
    const { stages } = await run('keras', `pair-${isolation}.npy`, TWO, '--isolation', isolation);
    assert.deepEqual(
      stages.map(({ beside, turns }) => [beside, turns]),
      [
        [false, 3],
        [true, 1],
      ],
    );
    assertClose(`pair-${isolation}.npy`, `whole-${isolation}.npy`);
    if (process.platform === 'win32') return;
    const killed = `killed-${isolation}.npy`;
    const args = argsFor('keras', killed, TWO, '--isolation', isolation);
    assert.equal((await interrupt(args, { cwd, output: killed, signal: 'SIGKILL' })).status, 137);
    const again = await tandem(args, { cwd });
    assert.equal(again.status, 0, again.stderr);
    assert.ok(JSON.parse(String(again.stdout)).rowsBefore > 0);
    assert.deepEqual(readFileSync(join(cwd, killed)), readFileSync(join(cwd, `pair-${isolation}.npy`)));
  });
}

const card = useSoftwareCard();
test('a card and the CPU', { skip: card.skip }, async () => {
  const inspected = await tandem(['inspect', 'onnx', '--json'], { cwd });
  const last = JSON.parse(String(inspected.stdout)).layers.length - 1;
  const whole = `cpu,layers=0..${last},threads=1`;
  await run('onnx', 'whole.npy', whole);
  const { stages } = await run('onnx', 'card.npy', `${whole}+gpu,provider=webgpu`, '--allow-fallback');
  assert.deepEqual(
    stages.map(({ device }) => device),
    ['cpu', 'gpu'],
  );
  assertClose('card.npy', 'whole.npy');
});

test('what cannot be a replica is refused', async () => {
  const refuse = async (stage: string, code: string, status: number) => {
    assertFails(await tandem(argsFor('onnx', 'none.npy', stage), { cwd }), { code, status });
  };
  await refuse('cpu,layers=0..1+cpu,layers=0..0', 'TANDEM_LAYERS_INVALID', 2);
  await refuse('cpu+', 'TANDEM_USAGE', 2);
  await refuse('cpu,turns=0+cpu', 'TANDEM_USAGE', 2);
});
