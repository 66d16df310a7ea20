/** Testing an engine in a child process: a working engine reports its facts, and any failure is a reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packageFolder } from '../../src/engine/package-build.js';
import { probeEngine } from '../../src/setup/probe.js';
import { scratch, writeFiles } from './tiny-tensorflow.js';

test('onnxruntime works without setup', async () => {
  const probe = await probeEngine('onnxruntime', 'cpu');
  assert.ok(probe.works, JSON.stringify(probe));
  assert.match(probe.version, /^\d+\.\d+/);
  assert.equal(probe.device, 'CPU');
});

test('TensorFlow works as npm test has set it up', async () => {
  const probe = await probeEngine('tfjs', 'tensorflow', packageFolder('@tensorflow/tfjs-node')!);
  assert.ok(probe.works, JSON.stringify(probe));
  assert.match(probe.version, /^2\.\d+/);
  assert.equal(probe.device, 'CPU');
});

for (const [what, code, reason] of [
  ['a crash', 'process.kill(process.pid, "SIGSEGV"); while (true);', /^it was ended by SIGSEGV$/],
  ['an exit without a message', 'process.exit(3);', /^it ended with status 3$/],
  [
    'a loader’s message of several lines',
    'throw new Error("libx.so: cannot open\\nsecond line");',
    /^libx\.so: cannot open$/,
  ],
  ['an engine that computes wrong values', wrongEngine(), /^computed a wrong answer$/],
] as const) {
  test(`${what} is a reason`, async (t) => {
    const folder = scratch(t);
    writeFiles(folder, { 'index.js': code });
    const probe = await probeEngine('tfjs', 'tensorflow', folder);
    assert.ok(!probe.works);
    assert.match(probe.reason, reason);
  });
}

test('a missing package is a reason', async () => {
  const probe = await probeEngine('tfjs', 'tensorflow', '/no/such/package');
  assert.ok(!probe.works);
  assert.match(probe.reason, /^Cannot find module/);
});

function wrongEngine(): string {
  return 'exports.tensor2d = (v) => v; exports.matMul = () => ({ data: async () => [5, 0, 0, 5] });';
}
