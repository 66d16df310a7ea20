/** A block is parted where it costs little, into parts that each hold a share of its weights. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partsOf } from '../../src/model/onnx/block-parts.js';

interface Drawn {
  /** Bytes of each op's weights. */
  readonly bytes: readonly number[];
  /** How many values live before each op, and after the last. */
  readonly live: readonly number[];
  readonly forbiddenCuts?: readonly number[];
}

function startsOf({ bytes, live, forbiddenCuts = [] }: Drawn, from = 0, to = bytes.length): number[] {
  const ops = bytes.map((own, index) => ({
    index,
    name: `op${index}`,
    type: 'MatMul',
    inputs: [],
    outputs: [],
    weights: own > 0 ? [`${own}`] : [],
  }));
  const weights = new Map(
    bytes.map((own) => [`${own}`, { name: `${own}`, dtype: 'uint8' as const, shape: [own], bytes: own }]),
  );
  return partsOf({ ops, weights, live, forbiddenCuts: new Set(forbiddenCuts) }, from, to).map((part) => part.from);
}

test('where the fewest values live, after what follows on weights without any', () => {
  assert.deepEqual(startsOf({ bytes: [8, 0, 8, 0], live: [1, 1, 1, 1, 1] }), [0, 2]);
  assert.deepEqual(startsOf({ bytes: [8, 0, 8, 8], live: [1, 2, 2, 1, 1] }), [0, 3], 'not where two live');
  assert.deepEqual(startsOf({ bytes: [8, 0, 0, 8], live: [1, 2, 1, 2, 1] }), [0, 2]);
});

test('one value more than beside the block may live, not two', () => {
  assert.deepEqual(startsOf({ bytes: [8, 8], live: [1, 2, 1] }), [0, 1]);
  assert.deepEqual(startsOf({ bytes: [8, 8], live: [1, 3, 1] }), [0]);
  assert.deepEqual(startsOf({ bytes: [8, 8], live: [2, 3, 2] }), [0, 1], 'a mask goes by every block');
});

test('each part has an eighth of the weights; a norm begins none', () => {
  assert.deepEqual(startsOf({ bytes: [1, 8, 8, 1], live: [1, 1, 1, 1, 1] }), [0, 2]);
  assert.deepEqual(startsOf({ bytes: [64, 1, 64], live: [1, 1, 1, 1] }), [0, 2]);
  assert.deepEqual(startsOf({ bytes: [0, 0, 0], live: [1, 1, 1, 1] }), [0], 'nothing has weights');
});

test('never where the model must not be cut, and only inside the block', () => {
  assert.deepEqual(startsOf({ bytes: [8, 0, 8], live: [1, 1, 1, 1], forbiddenCuts: [2] }), [0, 1]);
  assert.deepEqual(startsOf({ bytes: [8, 8], live: [1, 1, 1], forbiddenCuts: [1] }), [0]);
  assert.deepEqual(startsOf({ bytes: [9, 8, 8, 9], live: [1, 1, 1, 1, 1] }, 1, 3), [1, 2]);
});
