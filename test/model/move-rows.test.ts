/** Rows moved from any axis to the front and back, taken, put and kept: nothing is lost, and a slow reference agrees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keepRows, putRows, repeatRow, rowsAxisIn, rowsFirst, rowsInto, takeRows } from '../../src/model/move-rows.js';
import { allocate, type Tensor, type TypedArray } from '../../src/tensor.js';

const tensors = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 }),
    fc.nat(3),
    fc.integer({ min: 1, max: 5 }),
  )
  .chain(([dims, at, rows]) => {
    const axis = at % dims.length;
    const shape = dims.with(axis, rows);
    const size = shape.reduce((a, b) => a * b, 1);
    const dtype = fc.constantFrom('float32' as const, 'int64' as const, 'bool' as const);
    return dtype.map((type) => {
      const data = allocate(type, shape);
      for (let n = 0; n < size; n++) data[n] = type === 'int64' ? BigInt(n + 1) : (n + 1) % 200;
      return { tensor: { dtype: type, shape, data } as Tensor, axis };
    });
  });

/** The elements of one row, one by one. */
function row({ shape, data }: Tensor, axis: number, wanted: number): (number | bigint)[] {
  const found: (number | bigint)[] = [];
  for (let n = 0; n < data.length; n++) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    if (Math.floor(n / inner) % shape[axis]! === wanted) found.push(data[n]!);
  }
  return found;
}

const rowsOf = (tensor: Tensor, axis: number) =>
  Array.from({ length: tensor.shape[axis]! }, (_, n) => row(tensor, axis, n));

test('to the front and back is where it was, for any number of the first rows', () => {
  fc.assert(
    fc.property(tensors, fc.nat(), ({ tensor, axis }, cut) => {
      const first = rowsFirst(tensor, axis);
      assert.deepEqual(rowsOf(first, 0), rowsOf(tensor, axis));
      const rows = 1 + (cut % tensor.shape[axis]!);
      const data = allocate(tensor.dtype, tensor.shape);
      const shape = rowsInto(first, axis, rows, data);
      assert.deepEqual(shape, tensor.shape.with(axis, rows));
      const size = shape.reduce((a, b) => a * b, 1);
      const back = { ...tensor, shape, data: data.subarray(0, size) as TypedArray };
      assert.deepEqual(rowsOf(back, axis), rowsOf(tensor, axis).slice(0, rows));
    }),
  );
});

test('parts that are taken and put again make the whole', () => {
  fc.assert(
    fc.property(tensors, fc.integer({ min: 1, max: 3 }), ({ tensor, axis }, atOnce) => {
      const whole = { ...tensor, data: allocate(tensor.dtype, tensor.shape) };
      const rows = tensor.shape[axis]!;
      for (let from = 0; from < rows; from += atOnce) {
        putRows(takeRows(tensor, axis, from, Math.min(atOnce, rows - from)), whole, axis, from);
      }
      assert.deepEqual(whole.data, tensor.data);
    }),
  );
});

test('rows that are not kept are zeros, and the others stay', () => {
  fc.assert(
    fc.property(tensors, fc.array(fc.nat(4)), ({ tensor, axis }, drawn) => {
      const kept = [...new Set(drawn.map((n) => n % tensor.shape[axis]!))];
      const values = tensor.data.slice() as TypedArray;
      const before = rowsOf({ ...tensor, data: values }, axis);
      keepRows(tensor, axis, values, kept);
      for (const [n, own] of rowsOf(tensor, axis).entries()) {
        assert.deepEqual(own, kept.includes(n) ? before[n] : own.map((value) => (typeof value === 'bigint' ? 0n : 0)));
      }
    }),
  );
});

test('a row that is repeated is in every place', () => {
  fc.assert(
    fc.property(tensors, fc.integer({ min: 1, max: 4 }), ({ tensor, axis }, rows) => {
      const one = takeRows(tensor, axis, 0, 1);
      for (const own of rowsOf(repeatRow(one, axis, rows), axis)) assert.deepEqual(own, row(tensor, axis, 0));
    }),
  );
});

test('the rows are on the one axis that is open', () => {
  assert.deepEqual([[null, 2], [3, null], [3, 4], [], [null, null]].map(rowsAxisIn), [0, 1, null, null, null]);
});
