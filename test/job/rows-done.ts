/** Finished micro-batches for a sink, over shared memory as the pipeline lends them. */
import type { RowsDone } from '../../src/job/sink.js';
import type { RowFailure, RowId } from '../../src/job/source.js';
import { byteCount, type DType, type Tensor, viewOf } from '../../src/tensor.js';

/** A tensor of the values, in shared memory at an aligned offset. */
export function sharedTensor(dtype: DType, shape: readonly number[], values: Iterable<number | bigint>): Tensor {
  const tensor = viewOf(dtype, shape, new SharedArrayBuffer(64 + byteCount(dtype, shape)), 64);
  let at = 0;
  for (const value of values) tensor.data[at++] = value;
  return tensor;
}

export function failedRow(index: number, id: RowId = index): RowFailure {
  return { index, id, code: 'TANDEM_ROW_INVALID', message: `row ${index} is bad` };
}

export function batch(
  firstRow: number,
  outputs: Record<string, Tensor>,
  { failures = [], ids = null }: Partial<Pick<RowsDone, 'failures' | 'ids'>> = {},
): RowsDone {
  const rows = Object.values(outputs)[0]!.shape[0]!;
  return { firstRow, rows, outputs: new Map(Object.entries(outputs)), failures, ids };
}
