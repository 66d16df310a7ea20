/** Whose ops TensorFlow computes with, what the user may say of it, and that its library is loaded without a word. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { engineBuild } from '../../../src/engine/choose.js';
import { tfjsEngine } from '../../../src/engine/tfjs/engine.js';
import { oneDnnEnvironment, oneDnnMark } from '../../../src/engine/tfjs/one-dnn.js';
import { tensorflow } from '../../fixtures/tfjs-runs.js';

test('with its own on every machine, and with those that the user asks for', () => {
  assert.deepEqual(oneDnnEnvironment({}), { TF_ENABLE_ONEDNN_OPTS: '0' });
  assert.deepEqual(oneDnnEnvironment({ TF_ENABLE_ONEDNN_OPTS: '1' }), { TF_ENABLE_ONEDNN_OPTS: '1' });
  const environment = tfjsEngine.environment(1, { kind: 'cpu', index: 0 });
  assert.equal(environment.TF_ENABLE_ONEDNN_OPTS, oneDnnEnvironment().TF_ENABLE_ONEDNN_OPTS);
});

test('other bits are another build, for plans, measurements and journals', { skip: tensorflow.skip }, (t) => {
  assert.equal(oneDnnMark({}), oneDnnMark({ TF_ENABLE_ONEDNN_OPTS: 'false' }));
  const before = process.env.TF_ENABLE_ONEDNN_OPTS;
  t.after(() => {
    process.env.TF_ENABLE_ONEDNN_OPTS = before;
  });
  const builds = ['0', '1'].map((asked) => {
    process.env.TF_ENABLE_ONEDNN_OPTS = asked;
    return engineBuild('tfjs', 'tensorflow');
  });
  assert.equal(new Set(builds).size, 2);
});

test('a stage loads TensorFlow and prints nothing', { skip: tensorflow.skip }, () => {
  const native = new URL('../../../src/engine/tfjs/native.js', import.meta.url).href;
  const script = `import { openTfjs } from ${JSON.stringify(native)}; openTfjs('tensorflow').zeros([2]).dataSync();`;
  const { TF_ENABLE_ONEDNN_OPTS: _, ...env } = process.env;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...env, ...oneDnnEnvironment({}), TF_CPP_MIN_LOG_LEVEL: '2' },
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});
