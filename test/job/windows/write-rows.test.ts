/** Rows are written with padding around them, and come out of outputs without it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { trimming } from '../../../src/job/windows/finish-rows.js';
import { writeRows } from '../../../src/job/windows/write-rows.js';
import type { RaggedRow } from '../../../src/rows/ragged-source.js';
import { allocate, type Tensor, type TensorSpec } from '../../../src/tensor.js';

/** A row of distinct values, none of them the padding. */
function rowOf(index: number, shape: readonly number[]): RaggedRow {
  const data = allocate('float32', shape);
  for (let n = 0; n < data.length; n++) data[n] = 1 + index * 1000 + n;
  return { index, tensors: [{ dtype: 'float32', shape, data }] };
}

/** Shapes of one row, with the ragged axes of each row. */
const anyRows = fc
  .array(fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 4 })
  .filter((dims) => dims.includes(null))
  .chain((dims) =>
    fc.tuple(fc.constant(dims), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 })),
  );

test('a row stands in the corner of its place, the padding around it, and is trimmed to itself', () => {
  fc.assert(
    fc.property(anyRows, ([open, lengths]) => {
      const specs: TensorSpec[] = [{ name: 'x', dtype: 'float32', shape: open }];
      const rows = lengths.map((length, n) =>
        rowOf(
          n,
          open.map((dim) => dim ?? length),
        ),
      );
      const longest = Math.max(...lengths);
      const shape = [rows.length, ...open.map((dim) => dim ?? longest)];
      const into: Tensor = { dtype: 'float32', shape, data: allocate('float32', shape).fill(-7 as never) };
      writeRows(rows, [into], [-1]);
      const own = rows.flatMap(({ tensors }) => Array.from(tensors[0]!.data, Number));
      const written = Array.from(into.data, Number);
      assert.deepEqual(
        written.filter((value) => value !== -1),
        own,
      );
      const follows = open.flatMap((dim, axis) => (dim === null ? [axis] : []));
      const finish = trimming(new Map([['x', { follows, varies: false }]]), specs, true);
      const trimmed = finish(new Map([['x', into]]), rows).get('x');
      assert.deepEqual(
        trimmed,
        rows.map(({ tensors }) => tensors[0]),
      );
    }),
  );
});

test('64-bit integers are padded too', () => {
  const data = BigInt64Array.of(5n, 6n);
  const into: Tensor = { dtype: 'int64', shape: [1, 4], data: new BigInt64Array(4).fill(9n) };
  writeRows([{ index: 0, tensors: [{ dtype: 'int64', shape: [2], data }] }], [into], [1]);
  assert.deepEqual(into.data, BigInt64Array.of(5n, 6n, 1n, 1n));
});
