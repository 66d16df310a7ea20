/** tfjs on WebAssembly, the last resort: it gives what TensorFlow gives, and is taken only where TensorFlow is not linked, with a word about it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { makeRows } from '../../../scripts/make-rows.js';
import { providerFor } from '../../../src/engine/choose.js';
import { otherInstall } from '../../fixtures/other-install.js';
import { temporaryFolder, tensorflow } from '../../fixtures/tfjs-runs.js';

const root = resolve(import.meta.dirname, '../../../..');
const folder = temporaryFolder();
after(folder.remove);

const numbers = (path: string) => {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.flatMap((line) =>
    JSON.stringify(JSON.parse(line))
      .match(/-?\d+\.?\d*(e-?\d+)?/g)!
      .map(Number),
  );
};

test('if TensorFlow is not linked, a job runs on WebAssembly, prints that, and gives the same numbers', {
  skip: tensorflow.skip,
}, async () => {
  const model = await makeModel('mlp', join(folder.path, 'mlp'));
  const input = join(folder.path, 'in.jsonl');
  makeRows(input, 20, [16]);
  const run = (tandem: string, output: string) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [tandem, 'run', model, '-i', input, '-o', output, '--stage', 'cpu,layers=0..1', '--stage', 'cpu,layers=2..3'],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
    return { stderr, values: numbers(output) };
  };
  const unlinked = otherInstall(join(folder.path, 'unlinked'), {
    without: ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'],
  });
  const found = run(unlinked.tandem, join(folder.path, 'wasm.jsonl'));
  const expected = run(join(root, 'dist/src/cli/tandem.js'), join(folder.path, 'tensorflow.jsonl'));
  assert.match(found.stderr, /tfjs\/wasm/);
  assert.match(found.stderr, /stage 0: WebAssembly .*npx tandem setup tensorflow/);
  assert.doesNotMatch(expected.stderr, /WebAssembly/);
  assert.equal(found.values.length, expected.values.length);
  const off = found.values.map((value, n) => Math.abs(value - expected.values[n]!));
  assert.ok(Math.max(...off) < 1e-5, `${Math.max(...off)} off`);
});

test('where TensorFlow is linked it is the default, and WebAssembly may be asked for', {
  skip: tensorflow.skip,
}, () => {
  assert.equal(providerFor('tfjs', 'cpu'), 'tensorflow');
  assert.equal(providerFor('tfjs', 'cpu', 'wasm'), 'wasm');
});
