/** Writes ragged rows into the tensors of a micro-batch, filled up with padding. */
import type { RaggedRow } from '../../rows/ragged-source.js';
import type { Tensor, TypedArray } from '../../tensor.js';
import { eachRun } from './corner.js';

/** `into` is (rows, ...) for each input, each row at least as large as every one of `rows`; `padding` is the value of each input's other elements. */
export function writeRows(rows: readonly RaggedRow[], into: readonly Tensor[], padding: readonly number[]): void {
  for (const [n, { data, shape }] of into.entries()) {
    const [, ...room] = shape;
    const elements = room.reduce((count, dim) => count * dim, 1);
    for (const [place, { tensors }] of rows.entries()) {
      const { data: values, shape: own } = tensors[n]!;
      const row = data.subarray(place * elements, (place + 1) * elements) as TypedArray;
      if (values.length < elements) fill(row, padding[n] ?? 0);
      eachRun(room, own, (at, from, count) => {
        (row as Float32Array).set(values.subarray(from, from + count) as Float32Array, at);
      });
    }
  }
}

function fill(row: TypedArray, value: number): void {
  if (row instanceof BigInt64Array || row instanceof BigUint64Array) row.fill(BigInt(value));
  else row.fill(value);
}
