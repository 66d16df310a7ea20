/** Whose memory it is: lent inputs, private results, weights of the slice and no others, nothing left over. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { MODELS } from '../../../scripts/make-model.js';
import { lend, readOut } from '../../../src/engine/tfjs/lend.js';
import { release } from '../../../src/engine/tfjs/release.js';
import { tfjs } from '../../../src/engine/tfjs/tfjs.js';
import { TandemError } from '../../../src/errors.js';
import { legalCuts } from '../../../src/model/cut.js';
import type { ModelGraph } from '../../../src/model/graph.js';
import { sliceOf } from '../../../src/model/slice.js';
import type { StoredWeight } from '../../../src/model/weights-manifest.js';
import { bytesOf, type Tensor, viewOf } from '../../../src/tensor.js';
import { CPU, feedsOf, opened, runCut, runWhole, temporaryFolder, tensorflow } from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

const bytes = ({ data }: Tensor) => Buffer.from(bytesOf(data)).toString('hex');

for (const name of Object.keys(MODELS)) {
  test(`${name}: runs and loads leave no tensor behind`, { skip }, async () => {
    const graph = await opened(folder.path, name);
    const cuts = legalCuts(graph);
    const slice = sliceOf(graph, 0, cuts[Math.floor(cuts.length / 2)]!);
    const feeds = feedsOf(graph, 2);
    const inputs = slice.inputs.map((input) => feeds[graph.inputs.findIndex((spec) => spec.name === input)]!);
    const empty = tf!.memory().numTensors;
    const loaded = await tfjs.load(slice, CPU);
    await loaded.run(inputs);
    const after = tf!.memory().numTensors;
    for (let run = 0; run < 3; run++) await loaded.run(inputs);
    assert.equal(tf!.memory().numTensors, after);
    await loaded.dispose();
    assert.equal(tf!.memory().numTensors, empty);
  });
}

test('views over shared memory go in at any offset, and the memory is free again when the run has ended', {
  skip,
}, async () => {
  const graph = await opened(folder.path, 'two-in-two-out');
  const slice = sliceOf(graph, 0, graph.ops.length);
  const feeds = feedsOf(graph, 2);
  const expected = (await runWhole(tf!, graph, feeds)).map(bytes);
  const loaded = await tfjs.load(slice, CPU);
  for (const offset of [0, 4, 64, 100]) {
    const shared = new SharedArrayBuffer(4096);
    const lent = feeds.map(({ dtype, shape, data }, n) => {
      const view = viewOf(dtype, shape, shared, offset + n * 1024);
      (view.data as Float32Array).set(data as Float32Array);
      return view;
    });
    const outputs = await loaded.run(lent);
    new Uint8Array(shared).fill(0xff);
    assert.deepEqual(outputs.map(bytes).sort(), expected.toSorted());
    for (const { data } of outputs) assert.ok(data.buffer instanceof ArrayBuffer);
  }
  await loaded.dispose();
});

test('a tensor that no op touched is still a copy', { skip }, async () => {
  const input: Tensor = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };
  const tensor = lend(tf!, input);
  const output = await readOut(tf!, tensor, [input]);
  input.data[0] = 9;
  assert.deepEqual(output, { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
  tensor.dispose();
});

test('a result that is taken back is empty, and what it was read from is whole', { skip }, async () => {
  const input: Tensor = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };
  const lent = lend(tf!, input);
  const again = lent.clone();
  const [first, second] = [await readOut(tf!, lent, [input]), await readOut(tf!, again, [input])];
  release([first, second]);
  assert.deepEqual([first.data.length, second.data.length], [0, 0]);
  assert.deepEqual(input.data, Float32Array.of(1, 2));
  assert.deepEqual(await readOut(tf!, lent, [input]), input);
  tf!.dispose([lent, again]);
});

test('results that are taken back leave the next ones as they were', { skip }, async () => {
  const graph = await opened(folder.path, 'residual-cnn');
  const loaded = await tfjs.load(sliceOf(graph, 0, graph.ops.length), CPU);
  const feeds = feedsOf(graph, 2);
  const expected = (await loaded.run(feeds)).map(bytes);
  // Beyond the runs that are recorded.
  for (let run = 0; run < 5; run++) {
    const outputs = await loaded.run(feeds);
    assert.deepEqual(outputs.map(bytes), expected);
    loaded.release!(outputs);
  }
  await loaded.dispose();
});

test('dtypes: bool and int32 as they are, uint8 as int32, others refused', { skip }, async () => {
  const through = async (tensor: Tensor) => {
    const lent = lend(tf!, tensor);
    const result = await readOut(tf!, lent, [tensor]);
    lent.dispose();
    return result;
  };
  const bool: Tensor = { dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) };
  assert.deepEqual(await through(bool), bool);
  assert.deepEqual(await through({ dtype: 'uint8', shape: [2], data: Uint8Array.of(3, 255) }), {
    dtype: 'int32',
    shape: [2],
    data: Int32Array.of(3, 255),
  });
  const code = (found: string) => (error: unknown) => error instanceof TandemError && error.code === found;
  assert.throws(
    () => lend(tf!, { dtype: 'int64', shape: [1], data: BigInt64Array.of(1n) }),
    code('TANDEM_MODEL_UNSUPPORTED'),
  );
  const text = tf!.tensor(['a'], [1], 'string');
  await assert.rejects(readOut(tf!, text, []), code('TANDEM_MODEL_UNSUPPORTED'));
  text.dispose();
});

/** Fills the bytes of every weight that `keep` does not name. */
function spoil({ weights }: ModelGraph, keep: ReadonlySet<string>): void {
  for (const weight of weights.values() as Iterable<StoredWeight>) {
    if (keep.has(weight.name)) continue;
    for (const { file, offset, length } of weight.ranges) {
      const held = readFileSync(file);
      held.fill(0xff, offset, offset + length);
      writeFileSync(file, held);
    }
  }
}

for (const name of ['residual-cnn', 'nested', 'residual-cnn-graph', 'branch']) {
  test(`${name}: a slice reads its own weights alone`, { skip }, async () => {
    const graph = await opened(folder.path, name, { shardBytes: 3000 });
    const feeds = feedsOf(graph, 2);
    const cut = legalCuts(graph)[2]!;
    const slice = sliceOf(graph, 0, cut);
    const run = async () => {
      const loaded = await tfjs.load(slice, CPU);
      const made = await loaded.run(
        slice.inputs.map((input) => feeds[graph.inputs.findIndex((spec) => spec.name === input)]!),
      );
      await loaded.dispose();
      return made.map(bytes);
    };
    const before = await run();
    spoil(graph, new Set(graph.ops.slice(0, cut).flatMap((op) => op.weights)));
    assert.deepEqual(await run(), before);
    const whole = await runCut(graph, [cut], feeds).catch(() => null);
    assert.ok(!whole?.every(({ data }) => (data as Float32Array).every(Number.isFinite)), 'the rest was spoilt');
  });
}

test('weights are counted as they are held, dequantised', { skip }, async () => {
  const graph = await opened(folder.path, 'mlp-graph');
  const loaded = await tfjs.load(sliceOf(graph, 0, 3), CPU);
  assert.equal(loaded.weightBytes, 4 * (16 * 32 + 32));
  await loaded.dispose();
  const layers = await opened(folder.path, 'mlp');
  const whole = await tfjs.load(sliceOf(layers, 0, layers.ops.length), CPU);
  assert.equal(
    whole.weightBytes,
    [...layers.weights.values()].reduce((sum, weight) => sum + weight.bytes, 0),
  );
  await whole.dispose();
});

const onLinux = { skip: skip || (process.platform !== 'linux' && 'reads /proc') };

/** Peak resident bytes since the last call. */
function peak(): number {
  const bytes = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
  writeFileSync('/proc/self/clear_refs', '5');
  return bytes;
}

test('a small slice of a large model takes little memory, and the whole takes its weights once', onLinux, async () => {
  const graph = await opened(folder.path, 'dense-12', { width: 1200 });
  const model = [...graph.weights.values()].reduce((sum, weight) => sum + weight.bytes, 0);
  const [feed] = feedsOf(graph, 1);
  peak();
  const before = peak();
  const part = await tfjs.load(sliceOf(graph, 5, 6), CPU);
  await part.run([feed!]);
  const small = peak() - before;
  const whole = await tfjs.load(sliceOf(graph, 0, 12), CPU);
  await whole.run([feed!]);
  const large = peak() - before - small;
  await part.dispose();
  await whole.dispose();
  assert.ok(small < model / 2, `${small} bytes for a slice of ${part.weightBytes} out of ${model}`);
  assert.ok(large < 1.5 * model, `${large} bytes for ${model}`);
});

test('every shard must be there, even where the slice does not read it', { skip }, async () => {
  const graph = await opened(folder.path, 'mlp', { shardBytes: 3000 });
  writeFileSync(join(dirname(graph.path), 'group1-shard2of4.bin'), '');
  await assert.rejects(
    tfjs.load(sliceOf(graph, 0, 1), CPU),
    (error) => error instanceof TandemError && error.code === 'TANDEM_WEIGHTS_SHORT',
  );
});
