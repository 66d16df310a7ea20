/** Sources that end at the last row of a range, as they begin at its first. */
import type { Tensor } from '../tensor.js';
import { rowsBetween } from './files-in-row.js';
import type { RaggedRead, RaggedSource } from './ragged-source.js';
import { refuseRagged, refuseRows } from './refused-rows.js';
import { type RowRange, RowsLeft } from './row-range.js';
import type { RowsRead, Source } from './source.js';

/** `source` reads at `next`. */
export function sourceWithin(source: Source, range: RowRange, next: number): Source {
  const left = new RowsLeft(range, next);
  return {
    rows: range.rows,
    rowSpecs: source.rowSpecs,
    check: source.check,
    preparing: source.preparing,
    finish: source.finish,
    async read(into: readonly Tensor[]): Promise<RowsRead> {
      const rows = left.of(into[0]!.shape[0]!);
      if (rows === 0) return { rows: 0, failures: [], ids: null };
      const room = into.map((tensor) => rowsBetween(tensor, 0, rows));
      const { next: first } = left;
      return refuseRows(left.took(await source.read(room)), room, first, range.refused ?? []);
    },
    close: () => source.close(),
  };
}

export function raggedWithin(source: RaggedSource, range: RowRange, next: number): RaggedSource {
  const left = new RowsLeft(range, next);
  return {
    rows: range.rows,
    specs: source.specs,
    padding: source.padding,
    preparing: source.preparing,
    survey: () => source.survey(),
    async read(rows: number): Promise<RaggedRead> {
      const wanted = left.of(rows);
      if (wanted === 0) return { rows: 0, good: [], failures: [], ids: null };
      const { next: first } = left;
      return refuseRagged(left.took(await source.read(wanted)), first, range.refused ?? []);
    },
    close: () => source.close(),
  };
}
