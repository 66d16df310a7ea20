/** The law for ONNX: cut anywhere legal, the model gives what it gives whole. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { compare } from '../../scripts/onnx-suite/compare.js';
import type { LoadedSlice } from '../../src/engine/engine.js';
import { onnxruntime } from '../../src/engine/onnxruntime/onnxruntime.js';
import { ortError } from '../../src/engine/onnxruntime/session.js';
import { readRunnable } from '../../src/engine/runnable.js';
import { TandemError } from '../../src/errors.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { slicesOf } from '../../src/model/slice.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { allocate, bytesOf, DTYPES, type DType, type TypedArray, viewOf } from '../../src/tensor.js';
import { CPU, feedsOf, likeness, made, runCut, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { openRunnable } from '../fixtures/runnable.js';

const folder = temporaryFolder();
after(folder.remove);

/**
 * Whether each model is the same to the bit however it is cut. The others are `close` (1e-3 relative, as ONNX's own runner has it):
 * ORT computes Add + LayerNormalization, Conv + Add + Relu or Gelu in one kernel, which sums in another order than the
 * parts do, and it packs a weight only when it is not also an input, as in the slices it never is.
 */
const MODELS = {
  mlp: 'same',
  cnn: 'close',
  'two-in-two-out': 'same',
  'control-flow': 'same',
  sequences: 'same',
  'inner-strings': 'same',
  'odd-weights': 'close',
  functions: 'same',
  qdq: 'same',
  int4: 'same',
  'int8-weights': 'same',
  'int8-shared': 'same',
  'int8-one-scale': 'same',
  'int8-transposed': 'same',
  'int8-cast': 'same',
  'int8-reshaped': 'same',
  'int8-relu': 'same',
  'int8-residual': 'same',
  'int8-bias': 'same',
  'int4-weights': 'same',
  'int4-shared': 'same',
  tied: 'same',
  'qdq-reshape': 'same',
  'qdq-transpose': 'same',
  'qdq-pool': 'same',
  'qdq-bias': 'same',
  'qdq-relu': 'same',
  'qdq-twice': 'same',
  transformer: 'close',
} as const;

for (const [name, least] of Object.entries(MODELS)) {
  test(`${name}: any legal cuts give what the whole model gives`, async () => {
    const graph = await openRunnable(made(folder.path, name));
    const legal = legalCuts(graph);
    assert.ok(legal.length > 0);
    const property = fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...legal), { maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(),
      async (cuts, rows, seed) => {
        const feeds = feedsOf(graph, rows, 5, seed);
        const whole = await runWhole(graph, feeds);
        const found = likeness(
          await runCut(
            graph,
            [...cuts].sort((a, b) => a - b),
            feeds,
          ),
          whole,
        );
        assert.ok(found === 'same' || found === least, `cut at [${cuts}]: ${found}`);
      },
    );
    await fc.assert(property, { numRuns: 12, seed: 1 });
  });
}

test('half precision stays near: each part rounds what it hands on', async () => {
  const graph = await openRunnable(made(folder.path, 'transformer', { dtype: 'float16' }));
  assert.deepEqual([...new Set([...graph.weights.values()].map(({ dtype }) => dtype))].sort(), ['float16', 'int64']);
  const feeds = feedsOf(graph, 2);
  const [whole] = await runWhole(graph, feeds);
  const block = graph.layers[2]!.from;
  const [cut] = await runCut(graph, [block], feeds);
  assert.equal(cut!.dtype, 'float16');
  // One step of half precision is 1e-3 of the value, and values of a normalised layer are about 1.
  assert.notEqual(compare(cut!, whole!, { relative: 1e-2, absolute: 1e-2 }), 'different');
});

test('weights outside the file give the same as weights inside', async () => {
  const inside = await openRunnable(made(folder.path, 'transformer', { external: false }));
  const outside = await openRunnable(made(folder.path, 'transformer', { external: true }));
  const feeds = feedsOf(inside, 2);
  const cut = [outside.layers[1]!.from, outside.layers[2]!.from];
  assert.equal(likeness(await runCut(outside, cut, feeds), await runCut(inside, cut, feeds)), 'same');
});

test('a model of IR version 3, where every weight is an input too, runs cut', async () => {
  const graph = await openRunnable(made(folder.path, 'mlp', { irVersion: 3, opset: 8 }));
  const feeds = feedsOf(graph, 2);
  assert.equal(likeness(await runCut(graph, [4], feeds), await runWhole(graph, feeds)), 'same');
});

test('inputs may be views over what threads share, or processes, and outputs belong to the caller', async () => {
  const graph = await openRunnable(made(folder.path, 'mlp'));
  const loaded = await onnxruntime.load(slicesOf(graph, [])[0]!, CPU);
  const [feed] = feedsOf(graph, 2);
  const results: Float32Array[] = [];
  // What processes share is mapped, and looks like private memory.
  for (const memory of [new SharedArrayBuffer(256), new ArrayBuffer(256)]) {
    const view = viewOf('float32', [2, 16], memory, 64);
    bytesOf(view.data).set(bytesOf(feed!.data));
    const [first] = await loaded.run([view]);
    const kept = Float32Array.from(first!.data as Float32Array);
    bytesOf(view.data).fill(0);
    await loaded.run([view]);
    assert.deepEqual(first!.data, kept);
    results.push(kept);
  }
  assert.deepEqual(results[0], results[1]);
  await loaded.dispose();
});

for (const dtype of DTYPES.filter((dtype) => dtype !== 'bfloat16')) {
  test(`${dtype} goes in, across a cut and out again`, async () => {
    const g = new Graph(`carry_${dtype}`);
    const inner = g.node('Concat', [g.input('x', dtype, ['n', 3]), 'x'], { axis: 1 });
    g.output(g.node('Concat', [inner, inner], { axis: 1 }), dtype, ['n', 12]);
    const graph = await openRunnable(writeModel(join(folder.path, `${dtype}.onnx`), g));
    const [feed] = feedsOf(graph, 2);
    const [once] = await runCut(graph, [], [feed!]);
    const [cut] = await runCut(graph, [1], [feed!]);
    assert.equal(once!.dtype, dtype);
    assert.deepEqual(once, cut);
    const row = feed!.data.slice(0, 3);
    assert.deepEqual(cut!.data.slice(0, 6), allocateFrom(dtype, [...row, ...row]));
  });
}

/** Values as the typed array of a dtype. */
function allocateFrom(dtype: DType, values: (number | bigint)[]): TypedArray {
  const array = allocate(dtype, [values.length]);
  for (const [n, value] of values.entries()) array[n] = value as never;
  return array;
}

test('bfloat16 at the edge is refused: onnxruntime-node does not hand it out', async () => {
  const g = new Graph('brain');
  g.output(g.node('Neg', [g.input('x', 'bfloat16', ['n'])]), 'bfloat16', ['n']);
  const path = writeModel(join(folder.path, 'brain.onnx'), g);
  // Other engines compute it where they are installed.
  await assert.rejects(readRunnable(path, { engine: 'onnxruntime' }), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
    message: /bfloat16/,
    remedy: /Cast to float32/,
  });
});

test('what a slice gives is inferred from the shapes alone as it comes out, and not where the values of the rows decide', async () => {
  for (const [name, cut] of [
    ['transformer', 2],
    ['cnn', 2],
    ['int4', 1],
  ] as const) {
    const graph = await openRunnable(made(folder.path, name));
    const held = new Map(feedsOf(graph, 3, 7).map((tensor, n) => [graph.inputs[n]!.name, tensor]));
    for (const slice of slicesOf(graph, [graph.layers[cut]!.from])) {
      const loaded = await onnxruntime.load(slice, CPU);
      const inputs = slice.inputs.map((input) => held.get(input)!);
      const specs = inputs.map(({ dtype, shape }, n) => ({ name: slice.inputs[n]!, dtype, shape }));
      const inferred = await loaded.infer!(slice, specs);
      for (const [n, tensor] of (await loaded.run(inputs)).entries()) held.set(slice.outputs[n]!, tensor);
      const made = slice.outputs.map((output) => ({ name: output, ...held.get(output)! }));
      assert.deepEqual(
        inferred,
        made.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      );
      await loaded.dispose();
    }
  }
  const g = new Graph('counting');
  g.output(g.node('NonZero', [g.input('x', 'float32', ['n', 3])]), 'int64', [2, 'found']);
  const graph = await openRunnable(writeModel(join(folder.path, 'counting.onnx'), g));
  const slice = slicesOf(graph, [])[0]!;
  const loaded = await onnxruntime.load(slice, CPU);
  assert.equal(await loaded.infer!(slice, [{ name: 'x', dtype: 'float32', shape: [2, 3] }]), null);
  await loaded.dispose();
});

test('a model read ahead serves the next slice if that is of it, and no other; what cannot be read ahead is reported by load', async () => {
  const write = (file: string, op: string) => {
    const g = new Graph(op);
    g.output(g.node(op, [g.input('x', 'float32', ['n'])]), 'float32', ['n']);
    return openRunnable(writeModel(join(folder.path, file), g));
  };
  const results = async (graph: ModelGraph) => {
    const [output] = await runCut(graph, [], [{ dtype: 'float32', shape: [2], data: Float32Array.of(-1, 2) }]);
    return [...(output!.data as Float32Array)];
  };
  const graph = await write('ahead.onnx', 'Neg');
  await onnxruntime.prepare!(graph.path);
  assert.deepEqual(await results(graph), [1, -2]);
  assert.deepEqual(await results(await write('ahead.onnx', 'Abs')), [1, 2]);
  await onnxruntime.prepare!(graph.path);
  assert.deepEqual(await results(await write('other.onnx', 'Neg')), [1, -2]);
  assert.deepEqual(await results(await write('ahead.onnx', 'Relu')), [0, 2]);
  const gone = { ...graph, path: join(folder.path, 'gone.onnx') };
  await assert.rejects(onnxruntime.prepare!(gone.path), { code: 'TANDEM_MODEL_MISSING' });
  await assert.rejects(results(gone), { code: 'TANDEM_MODEL_MISSING' });
});

test('describe gives dtype and shape of every tensor, with null where the rows decide', async () => {
  const graph = await openRunnable(made(folder.path, 'transformer'));
  const facts = await onnxruntime.describe(graph, CPU, feedsOf(graph, 1, 7));
  assert.deepEqual(facts.get('input_ids'), { dtype: 'int64', shape: [null, 7] });
  assert.deepEqual(facts.get('/Mul_output_0'), { dtype: 'float32', shape: [null, 1, 1, 7] });
  assert.deepEqual(facts.get('/encoder/layer.1/attention/self/MatMul_output_0')?.shape, [null, 4, 7, 7]);
  assert.deepEqual(facts.get('/embeddings/position_embeddings/Slice_output_0')?.shape, [7, 32]);
  assert.equal(facts.size, graph.inputs.length + graph.ops.flatMap((op) => op.outputs).length);
});

test('describe leaves out what no slot can carry', async () => {
  const graph = await openRunnable(made(folder.path, 'sequences'));
  const facts = await onnxruntime.describe(graph, CPU, feedsOf(graph, 1));
  assert.deepEqual(facts.get('/before_output_0'), { dtype: 'float32', shape: [null, 6] });
  assert.ok(!facts.has('/split_output_0'));
});

test('a provider that the package lacks is a missing engine', async () => {
  const graph = await openRunnable(made(folder.path, 'mlp'));
  const [slice] = slicesOf(graph, []);
  await assert.rejects(onnxruntime.load(slice!, { provider: 'tpu', threads: 1 }), { code: 'TANDEM_ENGINE_MISSING' });
});

test('an operator that ORT does not know is unsupported, without a place in its sources', async () => {
  const g = new Graph('foreign');
  g.output(g.node('NotAnOperator', [g.input('x', 'float32', ['n', 4])]), 'float32', ['n', 4]);
  const graph = await openRunnable(writeModel(join(folder.path, 'foreign.onnx'), g));
  const refused = await onnxruntime.load(slicesOf(graph, [])[0]!, CPU).catch((error: TandemError) => error);
  assert.ok(refused instanceof TandemError);
  assert.equal(refused.code, 'TANDEM_MODEL_UNSUPPORTED');
  assert.match(refused.message, /NotAnOperator/);
  const newer = ortError(
    new Error(
      '/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const X*) Unsupported model IR version: 14, max supported IR version: 13',
    ),
    'TANDEM_MODEL_INVALID',
    'cpu',
  );
  assert.equal(newer.code, 'TANDEM_MODEL_UNSUPPORTED');
  assert.ok(newer.message.endsWith(': Unsupported model IR version: 14, max supported IR version: 13'));
  assert.doesNotMatch(newer.message, /onnxruntime_src/);
});

test('an input of another width is refused by code, and the slice still works', async () => {
  const graph = await openRunnable(made(folder.path, 'mlp'));
  const loaded = await onnxruntime.load(slicesOf(graph, [])[0]!, CPU);
  const wrong = { dtype: 'float32', shape: [1, 7], data: new Float32Array(7) } as const;
  await assert.rejects(async () => loaded.run([wrong]), { code: 'TANDEM_ENGINE_FAILED' });
  const [right] = await loaded.run(feedsOf(graph, 1));
  assert.deepEqual(right!.shape, [1, 16]);
  await loaded.dispose();
});

test('a slice on WebGPU gives what the CPU gives', async (t) => {
  const graph = await openRunnable(made(folder.path, 'mlp'));
  const [first, second] = slicesOf(graph, [6]);
  const feeds = feedsOf(graph, 2);
  let loaded: LoadedSlice;
  try {
    loaded = await onnxruntime.load(first!, { provider: 'webgpu', threads: 1 });
  } catch (error) {
    return t.skip((error as Error).message);
  }
  t.diagnostic(`on ${loaded.deviceName}`);
  const middle = await loaded.run(feeds);
  await loaded.dispose();
  const rest = await onnxruntime.load(second!, CPU);
  assert.notEqual(likeness(await rest.run(middle), await runWhole(graph, feeds)), 'different');
  await rest.dispose();
});
