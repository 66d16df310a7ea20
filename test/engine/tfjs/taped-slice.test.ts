/** Taped slices: what a tape plays is what tfjs computes, to the bit; and what cannot be taped never is. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { Graph, type } from '../../../scripts/make-model/graph.js';
import { MODELS } from '../../../scripts/make-model.js';
import { type Binding, nativeBackend } from '../../../src/engine/tfjs/binding.js';
import { loadGraphSlice } from '../../../src/engine/tfjs/graph-slice.js';
import { loadLayersSlice } from '../../../src/engine/tfjs/layers-slice.js';
import { lend } from '../../../src/engine/tfjs/lend.js';
import { taped } from '../../../src/engine/tfjs/taped-slice.js';
import { tfjs } from '../../../src/engine/tfjs/tfjs.js';
import { TandemError } from '../../../src/errors.js';
import { legalCuts } from '../../../src/model/cut.js';
import type { ModelGraph } from '../../../src/model/graph.js';
import type { GraphModelGraph } from '../../../src/model/graph-model.js';
import type { LayersModelGraph } from '../../../src/model/layers-model.js';
import { type Slice, slicesOf } from '../../../src/model/slice.js';
import { bytesOf, type Tensor } from '../../../src/tensor.js';
import { CPU, feedsOf, opened, runWhole, temporaryFolder, tensorflow, written } from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

const FLOAT = { T: type('DT_FLOAT') };
const hex = ({ dtype, shape, data }: Tensor) => [dtype, shape, Buffer.from(bytesOf(data)).toString('hex')];
/** All that TensorFlow holds, the numbers of tapes too. */
const heldByTensorflow = () =>
  (nativeBackend(tf!)!.binding as Binding & { getNumOfTensors(): number }).getNumOfTensors();

/** A taped slice, and how often tfjs itself was asked to run it. */
async function counted(graph: ModelGraph, slice: Slice) {
  const plain =
    graph.format === 'graph-model'
      ? await loadGraphSlice(tf!, graph as GraphModelGraph, slice)
      : await loadLayersSlice(tf!, graph as LayersModelGraph, slice);
  let runs = 0;
  const inner = {
    ...plain,
    run: (inputs: readonly TfTensor[]) => {
      runs++;
      return plain.run(inputs);
    },
  };
  const outer = taped(tf!, inner);
  const run = async (inputs: readonly Tensor[]): Promise<Tensor[]> => {
    const fed = inputs.map((tensor) => lend(tf!, tensor));
    const held = [...fed];
    try {
      const made = await outer.run(fed);
      held.push(...made);
      return made.map((tensor) => ({
        dtype: tensor.dtype as 'float32',
        shape: tensor.shape,
        data: (tensor.dataSync() as Float32Array).slice(),
      }));
    } finally {
      tf!.dispose(held);
    }
  };
  return { run, dispose: () => outer.dispose(), runs: () => runs };
}

/** Slices that tfjs runs asynchronously. */
const NEVER_TAPED = ['branch 1', 'loop 0', 'tables 0'];

for (const name of Object.keys(MODELS)) {
  test(`${name}: any rows, taped, give what tfjs gives, and nothing is left behind`, { skip }, async () => {
    const graph = await opened(folder.path, name);
    const cuts = legalCuts(graph);
    const slices = slicesOf(graph, cuts.slice(cuts.length >> 1, (cuts.length >> 1) + 1));
    const loaded = await Promise.all(slices.map((slice) => counted(graph, slice)));
    const runs = () => loaded.map((slice) => slice.runs());
    for (const [n, rows] of [2, 2, 2, 2, 1, 2, 2, 3, 1, 2].entries()) {
      const feeds = feedsOf(graph, rows, n);
      const values = new Map(graph.inputs.map((input, i) => [input.name, feeds[i]!]));
      const before = { held: heldByTensorflow(), runs: runs() };
      for (const [j, slice] of slices.entries()) {
        const made = await loaded[j]!.run(slice.inputs.map((input) => values.get(input)!));
        for (const [i, output] of slice.outputs.entries()) values.set(output, made[i]!);
      }
      // tfjs itself forgets a tensor now and then (the axis of an ArgMax).
      if (String(runs()) === String(before.runs)) assert.equal(heldByTensorflow(), before.held);
      const expected = await runWhole(tf!, graph, feeds);
      assert.deepEqual(
        graph.outputs.map((output) => hex(values.get(output)!)),
        expected.map(hex),
        `run ${n}`,
      );
    }
    // With two rows tfjs itself runs three times, with one and with three rows always.
    const expected = slices.map((_, j) => (NEVER_TAPED.includes(`${name} ${j}`) ? 10 : 6));
    assert.deepEqual(runs(), expected);
    for (const { dispose } of loaded) dispose();
  });
}

test('a tape goes with its slice', { skip }, async () => {
  const graph = await opened(folder.path, 'residual-cnn');
  const before = heldByTensorflow();
  const { run, runs, dispose } = await counted(graph, slicesOf(graph, [])[0]!);
  for (let n = 0; n < 5; n++) await run(feedsOf(graph, 2, n));
  assert.equal(runs(), 3);
  dispose();
  assert.equal(heldByTensorflow(), before);
});

test('values that decide what is computed are looked at in every run', { skip }, async () => {
  const graph = new Graph();
  const x = graph.input('x', [4]);
  const shape = graph.node(
    'Cast',
    'shape',
    [
      graph.node('Reshape', 'flat', [graph.input('size', [1], 'DT_INT32'), graph.ints('all', -1)], {
        T: type('DT_INT32'),
        Tshape: type('DT_INT32'),
      }),
    ],
    { SrcT: type('DT_INT32'), DstT: type('DT_INT32') },
  );
  const model = await written(
    folder.path,
    graph.model({ out: graph.node('Reshape', 'out', [x, shape], { ...FLOAT, Tshape: type('DT_INT32') }) }),
  );
  const slice = slicesOf(model, [])[0]!;
  const { run, runs, dispose } = await counted(model, slice);
  const rows = { dtype: 'float32', shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) } as const;
  const shapes: (readonly number[])[] = [];
  for (const dims of [
    [2, 4],
    [2, 4],
    [2, 4],
    [4, 2],
    [8, 1],
  ]) {
    const size = { dtype: 'int32', shape: [2, 1], data: Int32Array.from(dims) } as const;
    const feeds = model.inputs.map(({ name }) => (name === 'x' ? rows : size));
    shapes.push(
      (await run(slice.inputs.map((name) => feeds[model.inputs.findIndex((input) => input.name === name)]!)))[0]!.shape,
    );
  }
  assert.deepEqual(shapes, [
    [2, 4],
    [2, 4],
    [2, 4],
    [4, 2],
    [8, 1],
  ]);
  assert.equal(runs(), 5);
  dispose();
});

test('random numbers are drawn in every run', { skip }, async () => {
  const graph = new Graph();
  const x = graph.input('x', [4]);
  const noise = graph.node('RandomUniform', 'noise', [graph.ints('size', 2, 4)], {
    dtype: type('DT_FLOAT'),
    T: type('DT_INT32'),
  });
  const model = await written(folder.path, graph.model({ out: graph.node('AddV2', 'out', [x, noise]) }));
  const { run, runs, dispose } = await counted(model, slicesOf(model, [])[0]!);
  const drawn = new Set<string>();
  for (let n = 0; n < 6; n++) drawn.add(String((await run(feedsOf(model, 2)))[0]!.data));
  assert.equal(drawn.size, 6);
  assert.equal(runs(), 6);
  dispose();
});

test('a row that fails on a tape fails as it does without, and the tape still works', { skip }, async () => {
  const graph = await opened(folder.path, 'transformer');
  const slice = slicesOf(graph, [])[0]!;
  const loaded = await tfjs.load(slice, CPU);
  const good = feedsOf(graph, 2);
  const bad = good.map((tensor) => ({
    ...tensor,
    data: (tensor.data as Int32Array).map((token, n) => (n === 3 ? 10 ** 6 : token)),
  }));
  const expected = (await runWhole(tf!, graph, good)).map(hex);
  const told = new Set<string>();
  for (let n = 0; n < 6; n++) {
    assert.deepEqual((await loaded.run(good)).map(hex), expected);
    await assert.rejects(
      Promise.resolve(loaded.run(bad)),
      (error) => error instanceof TandemError && Boolean(told.add(error.message)),
    );
  }
  assert.equal(told.size, 1);
  assert.match([...told][0]!, /^layer \w+ \(Embedding\) failed: .*1000000/);
  const held = heldByTensorflow();
  await assert.rejects(Promise.resolve(loaded.run(bad)));
  assert.equal(heldByTensorflow(), held);
  await loaded.dispose();
});
