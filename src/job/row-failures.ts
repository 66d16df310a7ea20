/** The rows that the stages could not compute, by their positions in the input. */
import type { TandemError } from '../errors.js';
import type { RowFailure, RowsRead } from '../rows/source.js';

/** `failed` by position in the micro-batch. In the order of the input. */
export function stageFailures(
  firstRow: number,
  read: RowsRead,
  failed: ReadonlyMap<number, TandemError>,
): readonly RowFailure[] {
  if (failed.size === 0) return [];
  const { ids, batchLines } = read;
  const offsets = goodOffsets(firstRow, read);
  const found = [...failed].map(([place, { code, message }]) => {
    const offset = offsets[place]!;
    const index = firstRow + offset;
    const failure = { index, id: ids?.[offset] ?? index, code, message: `by itself it makes a stage fail: ${message}` };
    return batchLines?.has(offset) ? { ...failure, batchLine: true } : failure;
  });
  return found.sort((a, b) => a.index - b.index);
}

/** The position in the run of each row of the micro-batch. */
function goodOffsets(firstRow: number, { rows, failures }: RowsRead): number[] {
  const refused = new Set(failures.map(({ index }) => index - firstRow));
  return Array.from({ length: rows }, (_, offset) => offset).filter((offset) => !refused.has(offset));
}
