/** Rows that are written into a slot are read from it, whichever axis they have; padding is not read, and inputs shared by all rows stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../../src/arena/arena.js';
import { layOut } from '../../src/arena/layout.js';
import type { InputRows, ModelGraph } from '../../src/model/graph.js';
import { keepRows, rowsFirst, shapeOfRows } from '../../src/model/move-rows.js';
import { SlotEnds } from '../../src/pipeline/slot-ends.js';
import { allocate, type Tensor, type TypedArray } from '../../src/tensor.js';
import { straight } from '../fixtures/route.js';

const CAPACITY = 4;
const SHARED: Tensor = { dtype: 'float32', shape: [3], data: Float32Array.of(7, 8, 9) };

const cases = fc.record({
  row: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  at: fc.nat(3),
  rows: fc.integer({ min: 1, max: CAPACITY }),
  isFixed: fc.boolean(),
  kept: fc.array(fc.nat(CAPACITY - 1)),
});

/** A slot of a model that returns its input `x` and has a second input that is the same for all rows. */
function opened(row: readonly number[], axis: number, isFixed: boolean) {
  const inputRows = new Map<string, InputRows>([
    ['x', { axis, how: 'made so' }],
    ['shared', { axis: null, value: SHARED, how: 'made so' }],
  ]);
  const shape = shapeOfRows(row, axis, CAPACITY);
  const inputs = [
    { name: 'x', dtype: 'float32', shape },
    { name: 'shared', dtype: 'float32', shape: SHARED.shape },
  ] as const;
  const residents = inputs.map((input) => ({ ...input, born: -1, last: 1 }));
  const arena = new Arena(layOut(residents, straight(1), 2));
  const graph: Pick<ModelGraph, 'inputs' | 'outputs' | 'inputRows' | 'fixedBatch'> = {
    ...{ inputs, outputs: ['x'], inputRows },
    fixedBatch: isFixed ? CAPACITY : null,
  };
  return { arena, ends: new SlotEnds(arena, graph, new Map([['x', axis]])), region: arena.region('x') };
}

test('written rows are read again, row by row, and padding is zeros and is not read', () => {
  fc.assert(
    fc.property(cases, ({ row, at, rows, isFixed, kept }) => {
      const axis = at % (row.length + 1);
      const { arena, ends, region } = opened(row, axis, isFixed);
      const slot = arena.slots[1]!;
      slot.claim();
      const [tensor, ...others] = ends.inputs(slot);
      assert.deepEqual(others, [], 'what all rows share is not asked for');
      const perRow = row.reduce((size, dim) => size * dim, 1);
      tensor!.data.set(Float32Array.from({ length: tensor!.data.length }, () => 99) as never);
      const values = Float32Array.from({ length: rows * perRow }, (_, n) => n + 1);
      tensor!.data.set(values as never);
      ends.fill(slot, rows);
      slot.publish(0, rows);
      const inside = slot.tensors.at(region);
      assert.deepEqual(inside.shape, shapeOfRows(row, axis, isFixed ? CAPACITY : rows));
      const padded = [...rowsFirst(inside, axis).data].slice(rows * perRow);
      assert.ok(padded.every((value) => value === 0));
      assert.deepEqual([...ends.outputs(slot).get('x')!.data], [...values]);
      assert.deepEqual([...slot.tensors.at(arena.region('shared')).data], [7, 8, 9]);

      const indices = [...new Set(kept.map((n) => n % rows))];
      const first: Tensor = { dtype: 'float32', shape: [rows, ...row], data: allocate('float32', [rows, ...row]) };
      keepRows(first, 0, values, indices);
      ends.keep(slot, ends.values(slot) as TypedArray[], indices);
      assert.deepEqual([...ends.outputs(slot).get('x')!.data], [...first.data]);
    }),
  );
});
