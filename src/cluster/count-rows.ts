/** Counts the rows of an input where its format does not record them: once, when the manifest is made; and notes where reading may begin. */
import { TandemError } from '../errors.js';
import { type Format, holdsRecords } from '../rows/format.js';
import { linePlaces } from '../rows/json/line-places.js';
import { openRecords } from '../rows/record-source.js';
import type { ReadingPlace } from '../rows/row-range.js';

export interface CountedRows {
  readonly rows: number;
  /** In order; none where reading is to begin at the start. */
  readonly places: readonly ReadingPlace[];
}

export interface Known {
  /** `null` if opening the input did not show it. */
  readonly rows: number | null;
  /** Shards begin at multiples of it. */
  readonly unit: number;
}

/** Rows that are passed over at once. */
const AT_ONCE = 4096;

/** Throws what the reader of the format throws. */
export async function countRows(paths: readonly string[], format: Format, { rows, unit }: Known): Promise<CountedRows> {
  if (format === 'jsonl') return linePlaces(paths, unit);
  if (rows !== null) return { rows, places: [] };
  if (!holdsRecords(format)) {
    throw new TandemError('TANDEM_INTERNAL', `the rows of ${paths[0]} were not counted`);
  }
  let counted = 0;
  for (const path of paths) counted += await rowsOfFile(path, format);
  return { rows: counted, places: [] };
}

async function rowsOfFile(path: string, format: Format): Promise<number> {
  const records = await openRecords([path], { format });
  try {
    if (records.rows !== null) return records.rows;
    let counted = 0;
    for (let read = await records.read(AT_ONCE); read.rows > 0; read = await records.read(AT_ONCE))
      counted += read.rows;
    return counted;
  } finally {
    await records.close();
  }
}
