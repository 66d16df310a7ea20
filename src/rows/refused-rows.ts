/** Rows that are refused by their positions: computing them ends the process, so they fail without being computed. */
import { bytesOf, type Tensor } from '../tensor.js';
import type { RaggedRead } from './ragged-source.js';
import { inOrder, type RowFailure, type RowId, type RowsRead } from './source.js';

export interface RefusedRow {
  /** Position in the input, from 0. */
  readonly row: number;
  /** How the process ended that computed it. */
  readonly why: string;
}

/** The failure of a refused row. */
export function refusal({ row, why }: RefusedRow, id: RowId = row, batchLine = false): RowFailure {
  const message = `by itself it ends the process that computes it: ${why}`;
  return { index: row, id, code: 'TANDEM_STAGE_DIED', message, ...(batchLine && { batchLine }) };
}

/** `firstRow` is the position of the read's first row. The good rows in `into`, (capacity, ...) each, are packed again. */
export function refuseRows(
  read: RowsRead,
  into: readonly Tensor[],
  firstRow: number,
  refused: readonly RefusedRow[],
): RowsRead {
  const { failures, places } = refusedOf(read, firstRow, refused);
  if (places.size === 0) return read;
  const good = read.rows - read.failures.length;
  for (const { data, shape } of into) {
    const elements = data.length / shape[0]!;
    let to = 0;
    for (let from = 0; from < good; from++) {
      if (!places.has(from)) data.copyWithin(elements * to++, elements * from, elements * (from + 1));
    }
    // A model whose number of rows is fixed computes these places too.
    bytesOf(data.subarray(elements * to, elements * good)).fill(0);
  }
  return { ...read, failures };
}

export function refuseRagged(read: RaggedRead, firstRow: number, refused: readonly RefusedRow[]): RaggedRead {
  const { failures, places } = refusedOf(read, firstRow, refused);
  return places.size === 0 ? read : { ...read, failures, good: read.good.filter((_, place) => !places.has(place)) };
}

export function refuseRecords<Read extends RowsRead & { readonly records: readonly unknown[] }>(
  read: Read,
  firstRow: number,
  refused: readonly RefusedRow[],
): Read {
  const { failures, places } = refusedOf(read, firstRow, refused);
  return places.size === 0 ? read : { ...read, failures, records: read.records.filter((_, n) => !places.has(n)) };
}

/** All failures, and the places of the refused ones among the good rows. A row that has failed already stays as it is. */
function refusedOf(
  { rows, failures, ids, batchLines }: Pick<RowsRead, 'rows' | 'failures' | 'ids' | 'batchLines'>,
  firstRow: number,
  refused: readonly RefusedRow[],
): { readonly failures: readonly RowFailure[]; readonly places: ReadonlySet<number> } {
  const failed = new Set(failures.map(({ index }) => index));
  const more = refused.filter(({ row }) => row >= firstRow && row < firstRow + rows && !failed.has(row));
  const before = (row: number) => failures.filter(({ index }) => index < row).length;
  return {
    failures: inOrder(
      failures,
      more.map((each) => refusal(each, ids?.[each.row - firstRow], batchLines?.has(each.row - firstRow))),
    ),
    places: new Set(more.map(({ row }) => row - firstRow - before(row))),
  };
}
