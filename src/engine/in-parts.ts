/** A micro-batch in parts: what does not fit into the memory at once is computed a few rows at a time and put together again. */
import { TandemError } from '../errors.js';
import { allocate, type Tensor, type TypedArray } from '../tensor.js';
import type { LoadedSlice } from './engine.js';

/**
 * As `run` of the slice, at most `rowsAtOnce` rows at a time. Axis 0 of all inputs and outputs is the rows'. Throws what `run` throws,
 * and TANDEM_STAGE_FAILED when what the parts give does not fit together.
 */
export async function runInParts(
  slice: Pick<LoadedSlice, 'run' | 'release'>,
  inputs: readonly Tensor[],
  rowsAtOnce: number,
): Promise<Tensor[]> {
  const rows = inputs[0]?.shape[0] ?? 0;
  if (rows <= rowsAtOnce) return slice.run(inputs);
  let whole: Tensor[] | undefined;
  for (let from = 0; from < rows; from += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - from);
    const part = await slice.run(inputs.map((tensor) => rowsOf(tensor, from, count)));
    whole ??= part.map(({ dtype, shape }) => zeros(dtype, [rows, ...shape.slice(1)]));
    for (const [n, tensor] of part.entries()) place(tensor, whole[n]!, from, count);
    slice.release?.(part);
  }
  return whole!;
}

/** A copy: engines want what they read to begin at an address that suits them. */
function rowsOf({ dtype, shape: [rows, ...row], data }: Tensor, from: number, count: number): Tensor {
  const perRow = data.length / rows!;
  return { dtype, shape: [count, ...row], data: data.slice(from * perRow, (from + count) * perRow) as TypedArray };
}

function zeros(dtype: Tensor['dtype'], shape: readonly number[]): Tensor {
  return { dtype, shape, data: allocate(dtype, shape) };
}

function place(part: Tensor, whole: Tensor, from: number, count: number): void {
  const [, ...row] = whole.shape;
  if (part.shape.join() !== [count, ...row].join()) {
    throw new TandemError(
      'TANDEM_STAGE_FAILED',
      `${count} rows gave [${part.shape.join(', ')}], where others of their micro-batch gave rows of [${row.join(', ')}]`,
      { remedy: 'use a smaller --micro-batch' },
    );
  }
  const perRow = whole.data.length / whole.shape[0]!;
  (whole.data as Float32Array).set(part.data as Float32Array, from * perRow);
}
