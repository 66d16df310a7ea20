/** Divides the rows of an input into shards, each of which begins where a micro-batch or window of the whole job begins. */
import { TandemError } from '../errors.js';
import type { ReadingPlace } from '../rows/row-range.js';
import type { Shard } from './manifest.js';

export interface RangesRequest {
  /** Rows of the input. */
  readonly rows: number;
  /** Rows of a micro-batch, or of a window where rows differ in length. */
  readonly unit: number;
  /** As many as are wanted; there are fewer where there are fewer units. */
  readonly shards: number;
  /** Places at which reading may begin, in order; a shard has the last one at or before its first row. */
  readonly places?: readonly ReadingPlace[];
}

/** Shards differ by one unit at most, but for the last rows. Pure. Throws TANDEM_INPUT_EMPTY. */
export function shardRanges({ rows, unit, shards, places = [] }: RangesRequest): Shard[] {
  if (rows === 0) {
    throw new TandemError('TANDEM_INPUT_EMPTY', 'the input has no rows, so there is nothing to split in shards', {
      remedy: 'give at least one row',
    });
  }
  const units = Math.ceil(rows / unit);
  const count = Math.min(shards, units);
  return Array.from({ length: count }, (_, index) => {
    const firstRow = Math.floor((index * units) / count) * unit;
    const end = Math.min(rows, Math.floor(((index + 1) * units) / count) * unit);
    const at = places.findLast(({ row }) => row <= firstRow);
    return { index, firstRow, rows: end - firstRow, ...(at && firstRow > 0 ? { at } : {}) };
  });
}
