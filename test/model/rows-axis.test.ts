/** Which axis of each input is the rows': a table of signatures as exporters write them, and what is decided or asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { type Dimension, decideRows, type RowsSettings, withRows } from '../../src/model/rows-axis.js';
import { allocate } from '../../src/tensor.js';

type Signature = Record<string, readonly Dimension[] | null>;

function graphOf(inputs: Signature, outputs: Signature = {}): ModelGraph {
  const dims = (shape: readonly Dimension[]) => shape.map((dim) => (typeof dim === 'number' ? dim : null));
  return {
    format: 'onnx',
    path: '/nowhere/model.onnx',
    folder: '/nowhere',
    files: [],
    inputs: Object.entries(inputs).map(([name, shape]) => ({ name, dtype: 'float32', shape: dims(shape ?? [null]) })),
    outputs: Object.keys(outputs),
    ops: [],
    layers: [],
    weights: new Map(),
    forbiddenCuts: new Set(),
    fixedBatch: null,
    batchInvariant: true,
    dimensions: new Map(Object.entries({ ...inputs, ...outputs })),
  };
}

/** By input its axis, `null` for one that is given once, or `?`; then the rows that the model fixes. */
function decided(inputs: Signature, settings?: RowsSettings): unknown[] {
  const { inputRows, fixedBatch, problems } = decideRows(graphOf(inputs), settings);
  const told = Object.keys(inputs).map((name) => (problems.has(name) ? '?' : inputRows.get(name)!.axis));
  return fixedBatch === null ? told : [...told, `fixed ${fixedBatch}`];
}

const given = (...names: string[]): RowsSettings => ({
  given: new Map(names.map((name) => [name, { dtype: 'float32', shape: [1], data: allocate('float32', [1]) }])),
});
const on = (axes: Record<string, number>): RowsSettings => ({ axes: new Map(Object.entries(axes)) });

test('the name of the rows is found on whatever axis it stands', () => {
  assert.deepEqual(decided({ x: ['N', 6], state: [2, 'N', 4] }), [0, 1]);
  assert.deepEqual(decided({ x: ['batch', 'steps'], state: [2, 'batch', 128] }), [0, 1]);
  assert.deepEqual(decided({ x: ['seq', 'batch', 32] }), [1]);
  assert.deepEqual(decided({ x: ['L', 'N', 32] }), [1]);
  assert.deepEqual(decided({ x: [6, 'N', 3] }), [1]);
  assert.deepEqual(decided({ ids: ['text_batch_size', 'L'], pixels: ['image_batch_size', 3, 8, 8] }), [0, 0]);
  assert.deepEqual(decided({ ids: ['batch', 'L'], past: ['batch', 2, 'past', 4] }), [0, 0]);
  assert.deepEqual(decided({ x: ['items', 6], state: [2, 'items', 4] }), [0, 1]);
});

test('first axes that are open, by whatever name, hold the rows; one that is fixed on all fixes them', () => {
  assert.deepEqual(decided({ x: [null, 3] }), [0]);
  assert.deepEqual(decided({ a: ['unk__1', 3], b: ['unk__2', 4] }), [0, 0]);
  assert.deepEqual(decided({ x: ['a', 'b', 3] }), [0]);
  assert.deepEqual(decided({ x: null }), [0]);
  assert.deepEqual(decided({ x: [1, 'time'] }), [0, 'fixed 1']);
  assert.deepEqual(decided({ x: [1, null, null, 3] }), [0, 'fixed 1']);
  assert.deepEqual(decided({ x: [4, 'seq', 3], mask: [4, 'seq'] }), [0, 0, 'fixed 4']);
});

test('what cannot hold the rows, or might on several axes, is asked for', () => {
  assert.deepEqual(decided({ ids: ['N', 'L'], lengths: ['N'], scales: [3] }), [0, 0, '?']);
  assert.deepEqual(decided({ x: ['N', 6], sr: [] }), [0, '?']);
  assert.deepEqual(decided({ ids: ['batch', 'seq'], positions: ['seq'] }), [0, '?']);
  assert.deepEqual(decided({ ids: ['batch', 'seq'], positions: [1, 'seq'] }), [0, '?']);
  assert.deepEqual(decided({ a: [4, 3], b: [2, 3] }), [0, '?']);
  assert.deepEqual(decided({ x: ['N', 'N'] }), ['?']);
  assert.deepEqual(decided({ x: [6, null, 3] }), ['?']);
  assert.deepEqual(decided({ points: [1, 'N', 3] }), ['?']);
});

test('the flags of the user decide', () => {
  assert.deepEqual(decided({ ids: ['N', 'L'], lengths: ['N'], scales: [3] }, given('scales')), [0, 0, null]);
  assert.deepEqual(decided({ x: ['N', 6], sr: [] }, given('sr')), [0, null]);
  assert.deepEqual(decided({ a: [4, 3], b: [2, 3] }, given('b')), [0, null, 'fixed 4']);
  assert.deepEqual(decided({ a: [4, 3], b: [2, 4] }, on({ b: 1 })), [0, 1, 'fixed 4']);
  assert.deepEqual(decided({ x: [6, null, 3] }, on({ x: 1 })), [1]);
  assert.deepEqual(decided({ x: [6, null, 3] }, on({ x: 0 })), [0, 'fixed 6']);
  assert.deepEqual(decided({ x: ['a', 'b'], y: [2, 'b'] }, on({ x: 1 })), [1, 1]);
  const settings = { ...given('boxes'), ...on({ x: 1 }) };
  assert.deepEqual(decided({ x: [5, 'N'], boxes: [4] }, settings), [1, null]);
});

test('an output has the rows where the name of the rows stands, or by the user’s flag', () => {
  const { outputRows } = decideRows(
    graphOf({ x: ['L', 'batch'] }, { y: ['L', 'batch', 4], z: [null, 4], w: ['batch', 'batch'], v: ['L', 3] }),
    on({ v: 1 }),
  );
  assert.deepEqual(
    [...outputRows].map(([name, { axis }]) => [name, axis]),
    [
      ['y', 1],
      ['v', 1],
    ],
  );
});

test('a refusal names the input and what to type', () => {
  const refusal = (inputs: Signature, settings?: RowsSettings) => {
    try {
      withRows(graphOf(inputs), settings);
    } catch (error) {
      if (error instanceof TandemError) return `${error.code} ${error.message}; ${error.remedy}`;
    }
    return 'none';
  };
  assert.match(refusal({ x: ['N', 6], sr: [] }), /^TANDEM_ROWS_AXIS input "sr" .*single number.*--set sr=/);
  assert.match(refusal({ x: ['N', 6], scales: [3] }), /"scales" \(float32 \[3\]\) has no axis .* "x".*--set scales=/);
  assert.match(refusal({ a: [4, 3], b: [2, 3] }), /"b" .* same rows as "a".*--set b=@b.npy.*--rows-axis b=1/);
  assert.match(refusal({ x: [6, null, 3] }), /"x" .*axis 0 or 1.*--rows-axis x=1 or --rows-axis x=0/);
  assert.match(refusal({ x: [null, 3] }, on({ x: 2 })), /^TANDEM_USAGE .*has no axis 2.*from 0 to 1/);
  assert.match(refusal({ x: [null, 3] }, on({ q: 0 })), /^TANDEM_USAGE .*no input or output "q".*it has x/);
});
