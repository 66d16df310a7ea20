/** Slices of GraphModels: names that clash, what tfjs hands out itself, and failures told by the node. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Graph, type } from '../../../scripts/make-model/graph.js';
import { graphPart } from '../../../src/engine/tfjs/graph-part.js';
import { tfjs } from '../../../src/engine/tfjs/tfjs.js';
import { TandemError } from '../../../src/errors.js';
import { legalCuts } from '../../../src/model/cut.js';
import type { GraphModelGraph } from '../../../src/model/graph-model.js';
import { sliceOf } from '../../../src/model/slice.js';
import type { Tensor } from '../../../src/tensor.js';
import {
  CPU,
  feedsOf,
  opened,
  runCut,
  runWhole,
  temporaryFolder,
  tensorflow,
  written,
} from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

const FLOAT = { T: type('DT_FLOAT') };
const numbers = (tensors: readonly Tensor[]) =>
  tensors.map(({ shape, data }) => [[...shape], [...(data as Float32Array)]]);

test('a slice is its own nodes, the constants and functions that they read, and placeholders', async () => {
  const graph = (await opened(folder.path, 'branch')) as GraphModelGraph;
  const index = graph.ops.findIndex(({ name }) => name === 'choose');
  const { artifacts, weights, feeds, isAsync } = graphPart(graph, sliceOf(graph, index, index + 1));
  const { node, library } = artifacts.modelTopology as {
    node: { name: string; op: string; input?: string[] }[];
    library: { function: { signature: { name: string } }[] };
  };
  assert.deepEqual(
    node.map(({ name, op }) => [name, op]),
    [
      ['tandem_input_0', 'Placeholder'],
      ['tandem_input_1', 'Placeholder'],
      ['choose', 'StatelessIf'],
    ],
  );
  assert.deepEqual(node[2]!.input, ['tandem_input_0', 'tandem_input_1']);
  assert.deepEqual(
    library.function.map(({ signature }) => signature.name),
    ['double', 'negate'],
  );
  assert.deepEqual(weights, ['double/factor', 'negate/factor']);
  assert.equal(feeds.length, 2);
  assert.ok(isAsync);
});

test('a table comes with its initializer into the slice that looks up in it, and into no other', async () => {
  const graph = (await opened(folder.path, 'tables')) as GraphModelGraph;
  const [first, ...rest] = legalCuts(graph);
  assert.ok(graphPart(graph, sliceOf(graph, 0, first!)).artifacts.modelInitializer);
  assert.equal(graphPart(graph, sliceOf(graph, rest[0]!, graph.ops.length)).artifacts.modelInitializer, undefined);
});

test('nodes may have the names that slices give to their placeholders', { skip }, async () => {
  const graph = new Graph();
  const a = graph.node('Relu', 'tandem_input_0', [graph.input('x', [3])]);
  const b = graph.node('Neg', 'tandem_input_0_', [a]);
  const model = await written(folder.path, graph.model({ out: graph.node('AddV2', 'out', [b, a]) }));
  const feeds = feedsOf(model, 2);
  assert.deepEqual(numbers(await runCut(model, legalCuts(model), feeds)), numbers(await runWhole(tf!, model, feeds)));
});

test('a default of a placeholder is what tfjs hands out as it is: the weight stays', { skip }, async () => {
  const graph = new Graph();
  graph.constant({ name: 'scale', shape: [3], values: [1, 2, 3] });
  const given = graph.node('PlaceholderWithDefault', 'given', ['scale'], { dtype: type('DT_FLOAT') });
  const model = await written(
    folder.path,
    graph.model({ out: graph.node('Mul', 'out', [graph.input('x', [3]), given]) }),
  );
  const cuts = legalCuts(model);
  assert.deepEqual(
    model.ops.map(({ name }) => name),
    ['given', 'out'],
  );
  const loaded = await tfjs.load(sliceOf(model, 0, cuts[0]!), CPU);
  for (let run = 0; run < 2; run++) assert.deepEqual(numbers(await loaded.run([])), [[[3], [1, 2, 3]]]);
  await loaded.dispose();
  const feeds = feedsOf(model, 2);
  assert.deepEqual(numbers(await runCut(model, cuts, feeds)), numbers(await runWhole(tf!, model, feeds)));
});

test('a node that fails is named, and nothing is left behind', { skip }, async () => {
  const graph = await opened(folder.path, 'residual-cnn-graph');
  const at = graph.ops.findIndex(({ name }) => name === 'b0/conv2/Conv2D');
  const slice = sliceOf(graph, at - 1, graph.ops.length);
  const loaded = await tfjs.load(slice, CPU);
  const inputs: Tensor[] = slice.inputs.map(() => ({
    dtype: 'float32',
    shape: [1, 4, 4, 3],
    data: new Float32Array(48),
  }));
  await assert.rejects(
    Promise.resolve(loaded.run(inputs)),
    (error) =>
      error instanceof TandemError &&
      error.code === 'TANDEM_ENGINE_FAILED' &&
      /node b0\/conv2\/Conv2D \(Conv2D\) failed/.test(error.message) &&
      error.cause instanceof Error,
  );
  await loaded.dispose();
  const before = tf!.memory().numTensors;
  const again = await tfjs.load(slice, CPU);
  await assert.rejects(Promise.resolve(again.run(inputs)));
  await again.dispose();
  assert.equal(tf!.memory().numTensors, before);
});

test('an op that tfjs does not know is named when it is to run', { skip }, async () => {
  const graph = new Graph();
  const x = graph.node('Relu', 'good', [graph.input('x', [3])]);
  const model = await written(folder.path, graph.model({ out: graph.node('Sparkle', 'bad', [x], FLOAT) }));
  const loaded = await tfjs.load(sliceOf(model, 0, 2), CPU);
  await assert.rejects(
    Promise.resolve(loaded.run(feedsOf(model, 1))),
    (error) => error instanceof TandemError && /node bad \(Sparkle\) failed/.test(error.message),
  );
  await loaded.dispose();
});

test('two slices of one thread can be interleaved, also an asynchronous one', { skip }, async () => {
  const graph = await opened(folder.path, 'branch');
  const feeds = feedsOf(graph, 2);
  const expected = numbers(await runWhole(tf!, graph, feeds));
  const loaded = await Promise.all([0, 1].map(() => tfjs.load(sliceOf(graph, 0, graph.ops.length), CPU)));
  const results = await Promise.all([0, 1, 2, 3].map((n) => loaded[n % 2]!.run(feeds)));
  for (const result of results) assert.deepEqual(numbers(result), expected);
  for (const slice of loaded) await slice.dispose();
});
