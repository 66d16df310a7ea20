/** Safepoints: a thread is ended only outside of native code, so that the process does not abort. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { Safepoints } from '../../src/pool/safepoint.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-safepoint-'));
after(() => rmSync(folder, { recursive: true }));
const own = (path: string) => new URL(`../../${path}`, import.meta.url).href;

/** A thread that runs `body`, with `safepoint` and `gate`: an Int32 that the test opens by setting it to 1. */
function thread(safepoints: Safepoints, gate: Int32Array, body: string): Worker {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    const { gate } = workerData;
    const post = (text) => parentPort.postMessage(text);
    import(${JSON.stringify(own('src/pool/safepoint.js'))}).then(async ({ Safepoint }) => {
      const safepoint = new Safepoint(workerData.memory, require('node:worker_threads').threadId);
      ${body}
    });`;
  return new Worker(source, { eval: true, workerData: { memory: safepoints.memory, gate } });
}

const openGate = (gate: Int32Array) => {
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
};
const newGate = () => new Int32Array(new SharedArrayBuffer(4));

test('pool/safepoint I1: a stopped thread leaves the engine, does nothing more and never enters again', async () => {
  const safepoints = new Safepoints();
  const gate = newGate();
  const worker = thread(
    safepoints,
    gate,
    `await safepoint.inside(() => { post('inside'); Atomics.wait(gate, 0, 0); Atomics.add(gate, 0, 1); });
     Atomics.add(gate, 0, 100);`,
  );
  await once(worker, 'message');
  safepoints.stop();
  openGate(gate);
  await safepoints.outside(worker.threadId);
  assert.equal(Atomics.load(gate, 0), 2);
  await worker.terminate();
  assert.equal(Atomics.load(gate, 0), 2);

  const late = thread(
    safepoints,
    gate,
    `post('here');
     await safepoint.inside(() => Atomics.add(gate, 0, 100));`,
  );
  await once(late, 'message');
  await safepoints.outside(late.threadId);
  await late.terminate();
  assert.equal(Atomics.load(gate, 0), 2);
});

test('pool/safepoint I2: `outside` resolves when the thread is outside, and not before; `outsideNow` waits at most the limit', async () => {
  const safepoints = new Safepoints();
  const gate = newGate();
  const worker = thread(
    safepoints,
    gate,
    `await safepoint.inside(() => { post('inside'); Atomics.wait(gate, 0, 0); });`,
  );
  await once(worker, 'message');
  let settled = false;
  safepoints.stop();
  const stopped = safepoints.outside(worker.threadId).then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  assert.deepEqual([settled, safepoints.outsideNow(worker.threadId, 1)], [false, false]);
  openGate(gate);
  await stopped;
  assert.equal(safepoints.outsideNow(worker.threadId, 1000), true);
  await worker.terminate();
});

/** Runs a program in a separate process, which must not abort. */
function runs(source: string): { status: number | null; signal: string | null; stderr: string } {
  const file = join(folder, 'program.mjs');
  writeFileSync(file, source);
  const { status, signal, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  return { status, signal, stderr };
}

/** A thread that computes in native code of ONNX Runtime, run after run; with `bad` each run fails. */
const computing = (bad: boolean) => `
  import { Threads } from '${own('src/pool/threads.js')}';
  import { openModel } from '${own('src/model/open.js')}';
  import { slicesOf } from '${own('src/model/slice.js')}';
  import { turnTelemetryOff } from '${own('src/engine/onnxruntime/telemetry.js')}';
  turnTelemetryOff();
  const model = ${JSON.stringify(makeOnnx('mlp', join(folder, 'mlp'), { layers: 4, hidden: 512 }))};
  const [slice] = slicesOf(await openModel(model), []);
  const width = ${bad ? 511 : 512};
  const inputs = [{ dtype: 'float32', shape: [${bad ? 1 : 1024}, width], data: new Float32Array(${bad ? 1 : 1024} * width) }];
  const computing = async () => {
    const setup = { engine: 'onnxruntime', options: { provider: 'cpu', threads: 1 } };
    const threads = new Threads({ count: 1, setup });
    const call = (name, ask) => threads.call(name, ask, threads.ids[0]);
    await call('load', { slices: [slice], parts: null, resident: 1 });
    const [first, ...others] = Array.from({ length: ${bad ? 2000 : 20} }, () => call('probe', { slice: slice.from + '..' + slice.to, inputs }));
    const settled = Promise.allSettled(others);
    const { error } = await first;
    if (${bad} !== /ONNX Runtime/.test(error?.message)) throw new Error(error?.message);
    return { threads, settled };
  };`;

for (const bad of [false, true]) {
  const what = bad ? 'fails' : 'computes';
  test(`a thread is ended again and again while it ${what} in native code, and the process continues`, () => {
    const { status, signal, stderr } = runs(`${computing(bad)}
      for (let n = 0; n < 20; n++) {
        const { threads, settled } = await computing();
        if (!(await threads.end())) process.exit(1);
        if (!(await settled).some(({ status }) => status === 'rejected')) process.exit(2);
      }`);
    assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
  });

  test(`a process that exits while a thread ${what} in native code has its own exit status`, () => {
    for (let n = 0; n < 4; n++) {
      const { status, signal, stderr } = runs(`${computing(bad)}
        await computing();
        process.exit(130);`);
      assert.deepEqual({ status, signal, stderr }, { status: 130, signal: null, stderr: '' });
    }
  });
}
