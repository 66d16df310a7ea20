/** Estimated work against counts by hand: two for each multiply-add, one for each element made, none for moving. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimateFlops } from '../../src/model/flops.js';
import type { ModelFormat, ModelGraph, Op, TensorFacts } from '../../src/model/graph.js';
import type { GraphModelGraph } from '../../src/model/graph-model.js';
import type { Shape } from '../../src/tensor.js';

interface OneOp {
  readonly type: string;
  readonly inputs: readonly (Shape | null)[];
  readonly outputs: readonly (Shape | null)[];
  readonly weights?: readonly (readonly number[])[];
  readonly format?: ModelFormat;
  readonly fixedBatch?: number;
}

/** The work of one op; shapes of `null` are such as nobody knows. */
function flops({ type, inputs, outputs, weights = [], format = 'layers-model', fixedBatch }: OneOp): number {
  const facts: TensorFacts = new Map(
    [
      ...inputs.map((shape, n) => [`x${n}`, shape] as const),
      ...outputs.map((shape, n) => [`y${n}`, shape] as const),
    ].flatMap(([name, shape]) => (shape ? [[name, { dtype: 'float32', shape }] as const] : [])),
  );
  return estimateFlops(graphOf({ type, inputs, outputs, weights, format, fixedBatch }), facts)[0]!;
}

function graphOf({
  type,
  inputs,
  outputs,
  weights = [],
  format = 'layers-model',
  fixedBatch = undefined,
}: OneOp): ModelGraph {
  const op: Op = {
    index: 0,
    name: 'op',
    type,
    inputs: inputs.map((_, n) => `x${n}`),
    outputs: outputs.map((_, n) => `y${n}`),
    weights: weights.map((_, n) => `w${n}`),
  };
  return {
    format,
    path: '/nowhere',
    folder: '/',
    inputs: inputs.map((shape, n) => ({ name: `x${n}`, dtype: 'float32', shape: shape ?? [null] })),
    outputs: op.outputs,
    ops: [op],
    layers: [],
    weights: new Map(weights.map((shape, n) => [`w${n}`, { name: `w${n}`, dtype: 'float32', shape, bytes: 0 }])),
    files: [],
    forbiddenCuts: new Set(),
    fixedBatch: fixedBatch ?? null,
    batchInvariant: true,
  };
}

test('matrix products: 2mkn, by weights or by tensors, with any axes before', () => {
  const dense = { type: 'Dense', inputs: [[null, 10]], outputs: [[null, 7]], weights: [[10, 7], [7]] };
  assert.equal(flops(dense), 2 * 10 * 7);
  assert.equal(flops({ ...dense, inputs: [[null, 3, 10]], outputs: [[null, 3, 7]] }), 3 * 2 * 10 * 7);
  assert.equal(flops({ ...dense, inputs: [[8, 10]], outputs: [[8, 7]], fixedBatch: 8 }), 2 * 10 * 7);
  assert.equal(flops({ type: 'MatMul', inputs: [[null, 10]], outputs: [[null, 7]], weights: [[7, 10]] }), 2 * 10 * 7);
  assert.equal(
    flops({
      type: 'BatchMatMulV2',
      inputs: [
        [null, 4, 5, 6],
        [null, 4, 6, 7],
      ],
      outputs: [[null, 4, 5, 7]],
    }),
    4 * 2 * 5 * 6 * 7,
  );
  assert.equal(
    flops({
      type: 'Dot',
      inputs: [
        [null, 5, 6],
        [null, 7, 6],
      ],
      outputs: [[null, 5, 7]],
    }),
    2 * 5 * 6 * 7,
  );
  assert.equal(
    flops({ type: 'Gemm', inputs: [[null, 10]], outputs: [[null, 7]], weights: [[7, 10], [7]], format: 'onnx' }),
    2 * 10 * 7,
  );
});

test('a product whose rows are flattened into another axis is followed by its elements', () => {
  const graph = graphOf({ type: 'MatMul', inputs: [null], outputs: [null], weights: [[10, 7]] });
  const facts: TensorFacts = new Map([['x', { dtype: 'float32', shape: [null, 3, 10] }]]);
  const flat: Op = { index: 0, name: 'flat', type: 'Reshape', inputs: ['x'], outputs: ['x0'], weights: [] };
  const whole = {
    ...graph,
    inputs: [{ name: 'x', dtype: 'float32' as const, shape: [null, 3, 10] }],
    ops: [flat, { ...graph.ops[0]!, index: 1 }],
  };
  assert.deepEqual(estimateFlops(whole, facts), [0, 3 * 2 * 10 * 7]);
});

test('convolutions: the kernel at every position of the result', () => {
  const image: Shape = [null, 12, 12, 3];
  assert.equal(
    flops({ type: 'Conv2D', inputs: [image], outputs: [[null, 6, 6, 8]], weights: [[3, 3, 3, 8], [8]] }),
    6 * 6 * 2 * 3 * 3 * 3 * 8,
  );
  assert.equal(
    flops({ type: 'DepthwiseConv2D', inputs: [image], outputs: [[null, 12, 12, 6]], weights: [[3, 3, 3, 2], [6]] }),
    12 * 12 * 2 * 3 * 3 * 6,
  );
  assert.equal(
    flops({ type: 'DepthwiseConv2dNative', inputs: [image], outputs: [[null, 12, 12, 3]], weights: [[5, 5, 3, 1]] }),
    12 * 12 * 2 * 5 * 5 * 3,
  );
  const separable = {
    type: 'SeparableConv2D',
    inputs: [image],
    outputs: [[null, 12, 12, 8]],
    weights: [[3, 3, 3, 1], [1, 1, 3, 8], [8]],
  };
  assert.equal(flops(separable), 12 * 12 * 2 * (3 * 3 * 3 + 3 * 8));
  assert.equal(
    flops({ type: 'Conv1D', inputs: [[null, 9, 4]], outputs: [[null, 9, 5]], weights: [[3, 4, 5]] }),
    9 * 2 * 3 * 4 * 5,
  );
  assert.equal(
    flops({
      type: 'Conv2DTranspose',
      inputs: [[null, 6, 6, 8]],
      outputs: [[null, 12, 12, 3]],
      weights: [[2, 2, 3, 8]],
    }),
    6 * 6 * 2 * 2 * 2 * 3 * 8,
  );
  assert.equal(
    flops({
      type: 'Conv',
      inputs: [[null, 3, 12, 12]],
      outputs: [[null, 8, 6, 6]],
      weights: [[8, 3, 3, 3]],
      format: 'onnx',
    }),
    6 * 6 * 2 * 3 * 3 * 3 * 8,
  );
});

test('recurrent layers: all kernels at every step, both ways where there are two', () => {
  const lstm = [[5, 4 * 7], [7, 4 * 7], [4 * 7]];
  assert.equal(
    flops({ type: 'LSTM', inputs: [[null, 9, 5]], outputs: [[null, 7]], weights: lstm }),
    9 * 2 * (5 * 28 + 7 * 28),
  );
  assert.equal(
    flops({ type: 'Bidirectional', inputs: [[null, 9, 5]], outputs: [[null, 14]], weights: [...lstm, ...lstm] }),
    2 * 9 * 2 * (5 * 28 + 7 * 28),
  );
});

test('an Einsum is counted by its indices, and without its equation as one product', () => {
  const einsum: OneOp = {
    type: 'Einsum',
    inputs: [
      [null, 2, 5, 6],
      [null, 2, 7, 6],
    ],
    outputs: [[null, 2, 5, 7]],
    format: 'graph-model',
  };
  const attr = new Map([['equation', { s: Buffer.from('abcd,abed->abce').toString('base64') }]]);
  const graph = {
    ...graphOf(einsum),
    nodes: [{ name: 'op', op: 'Einsum', edges: [], attr, raw: {} }],
  } as unknown as GraphModelGraph;
  const facts: TensorFacts = new Map(
    [
      ['x0', einsum.inputs[0]!],
      ['x1', einsum.inputs[1]!],
      ['y0', einsum.outputs[0]!],
    ].map(([name, shape]) => [name as string, { dtype: 'float32', shape: shape as Shape }]),
  );
  assert.deepEqual(estimateFlops(graph, facts), [2 * 2 * 5 * 6 * 7]);
  assert.equal(flops({ ...einsum, format: 'layers-model' }), 2 * 2 * 5 * 6 * 7);
});

test('the rest: an operation for each element made or reduced, none for what is only moved', () => {
  const shape: Shape = [null, 4, 5];
  for (const type of ['Add', 'AddV2', 'BatchNormalization', 'Relu', 'SomethingNew'])
    assert.equal(flops({ type, inputs: [shape, shape], outputs: [shape] }), 20, type);
  for (const type of ['Mean', 'MaxPooling2D', 'GlobalAveragePooling1D'])
    assert.equal(flops({ type, inputs: [shape], outputs: [[null, 5]] }), 20, type);
  for (const type of ['Reshape', 'Transpose', 'ConcatV2', 'Embedding', 'GatherV2', 'Dropout'])
    assert.equal(flops({ type, inputs: [shape], outputs: [shape], weights: [[50, 5]] }), 0, type);
  assert.equal(flops({ type: 'Relu', inputs: [null], outputs: [] }), 0);
});
