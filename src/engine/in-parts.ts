/** A micro-batch in parts: a few rows are computed at a time, because all at once need too much memory, and the results are joined. */
import { TandemError } from '../errors.js';
import { putRows, takeRows } from '../model/move-rows.js';
import { allocate, type Tensor } from '../tensor.js';
import type { LoadedSlice } from './engine.js';

/** How many rows are computed at once at most, and the rows' axes. */
export interface Parts {
  readonly rows: number;
  /** The rows' axis of each input of the slice; `null` for one that all rows share. */
  readonly inputs: readonly (number | null)[];
  /** And of each output. */
  readonly outputs: readonly number[];
}

/** As `run` of the slice, a part of the rows at a time. Throws what `run` throws, and TANDEM_STAGE_FAILED if the parts' shapes differ. */
export async function runInParts(
  slice: Pick<LoadedSlice, 'run' | 'release'>,
  inputs: readonly Tensor[],
  parts: Parts,
): Promise<Tensor[]> {
  const first = parts.inputs.findIndex((axis) => axis !== null);
  const rows = inputs[first]?.shape[parts.inputs[first]!] ?? 0;
  if (rows <= parts.rows) return slice.run(inputs);
  let whole: Tensor[] | undefined;
  for (let from = 0; from < rows; from += parts.rows) {
    const count = Math.min(parts.rows, rows - from);
    const own = inputs.map((tensor, n) => {
      const axis = parts.inputs[n]!;
      return axis === null ? tensor : takeRows(tensor, axis, from, count);
    });
    const made = await slice.run(own);
    whole ??= made.map(({ dtype, shape }, n) => zeros(dtype, shape.with(parts.outputs[n]!, rows)));
    for (const [n, tensor] of made.entries()) place(tensor, whole[n]!, parts.outputs[n]!, from, count);
    slice.release?.(made);
  }
  return whole!;
}

function zeros(dtype: Tensor['dtype'], shape: readonly number[]): Tensor {
  return { dtype, shape, data: allocate(dtype, shape) };
}

function place(part: Tensor, whole: Tensor, axis: number, from: number, count: number): void {
  const expected = whole.shape.with(axis, count);
  if (part.shape.join() !== expected.join()) {
    throw new TandemError(
      'TANDEM_STAGE_FAILED',
      `${count} rows gave [${part.shape.join(', ')}], other rows of their micro-batch gave [${expected.join(', ')}]`,
      { remedy: 'use a smaller --micro-batch' },
    );
  }
  putRows(part, whole, axis, from);
}
