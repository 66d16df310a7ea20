/** Opening TensorFlow: one package per process, what is missing told with the line to type, the device told by the library. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { deviceOf, openTfjs } from '../../../src/engine/tfjs/native.js';
import { TandemError, toWire } from '../../../src/errors.js';
import { tensorflow } from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const native = new URL('../../../src/engine/tfjs/native.js', import.meta.url).href;

/** What `openTfjs(provider)` says in a fresh process. */
function inProcess(
  provider: string,
  before = '',
): { code?: string; message?: string; remedy?: string; stderr: string } {
  const script = `${before}
    const { openTfjs } = await import(${JSON.stringify(native)});
    const { toWire } = await import(new URL('../../errors.js', ${JSON.stringify(native)}));
    try { openTfjs(${JSON.stringify(provider)}); console.log('{}'); } catch (error) { console.log(JSON.stringify(toWire(error))); }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return { ...JSON.parse(stdout), stderr };
}

test('a provider that there is not is a typing error', () => {
  assert.throws(
    () => openTfjs('cuda'),
    (error) => error instanceof TandemError && error.code === 'TANDEM_USAGE' && /tensorflow-gpu/.test(error.remedy),
  );
});

test('the same package opens again, and reports where it computes', { skip }, () => {
  assert.equal(openTfjs('tensorflow'), tf);
  assert.deepEqual(deviceOf(tf!), { ranOn: 'cpu', deviceName: cpus()[0]!.model.trim() });
});

const second = (error: { code: string; message: string; remedy: string }) => {
  assert.equal(error.code, 'TANDEM_ENGINE_FAILED');
  assert.match(error.message, /tfjs-node already; .*would silently get its library/);
  assert.match(error.remedy, /--isolation process/);
};

test('a second package is refused in the same process', { skip }, () => {
  assert.throws(
    () => openTfjs('tensorflow-gpu'),
    (error) => {
      second(toWire(error));
      return true;
    },
  );
});

test('and in another thread of it', { skip }, async () => {
  const script = `
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const { openTfjs } = await import(${JSON.stringify(native)});
      const { toWire } = await import(new URL('../../errors.js', ${JSON.stringify(native)}));
      try { openTfjs('tensorflow-gpu'); parentPort.postMessage(null); } catch (error) { parentPort.postMessage(toWire(error)); }
    })();`;
  const worker = new Worker(script, { eval: true });
  second(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)));
  await worker.terminate();
});

test('a package without its library is missing, and the remedy is the line to type', (t) => {
  const { code, message, remedy } = inProcess('tensorflow-gpu');
  if (code === undefined) return t.skip('tfjs-node-gpu is linked here');
  assert.equal(code, 'TANDEM_ENGINE_MISSING');
  assert.match(message!, /tfjs-node-gpu cannot be used here: ./);
  assert.equal(remedy, 'run: npx tandem setup tensorflow-gpu');
});

test('it opens where Node no longer has what tfjs-node calls', { skip }, () => {
  const gone = `import util from 'node:util'; delete util.isNullOrUndefined; delete util.isArray;`;
  const opened = inProcess('tensorflow', gone);
  assert.equal(opened.code, undefined, opened.message);
});
