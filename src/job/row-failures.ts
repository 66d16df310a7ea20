/** What is wrong with the rows of a micro-batch, as both ends of the pipeline found it. */
import type { TandemError } from '../errors.js';
import type { RowFailure, RowsRead } from './source.js';

/** `failed` are the rows, by place, that the stages could not compute; a row that was zeros from the start keeps its first reason. */
export function rowFailures(
  firstRow: number,
  { failures, ids, batchLines }: RowsRead,
  failed: ReadonlyMap<number, TandemError>,
): readonly RowFailure[] {
  if (failed.size === 0) return failures;
  const known = new Set(failures.map(({ index }) => index));
  const found = [...failed].map(([place, { code, message }]) => {
    const index = firstRow + place;
    const told = { index, id: ids?.[place] ?? index, code, message: `by itself it makes a stage fail: ${message}` };
    return batchLines?.has(place) ? { ...told, batchLine: true } : told;
  });
  return [...failures, ...found.filter(({ index }) => !known.has(index))].sort((a, b) => a.index - b.index);
}
