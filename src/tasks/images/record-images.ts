/** Images in a column of records: paths, base64, data URLs or bytes. */
import { dirname, resolve } from 'node:path';
import { TandemError } from '../../errors.js';
import { STANDARD_STREAM } from '../../rows/format.js';
import { openRecords } from '../../rows/record-source.js';
import { RowFault } from '../../rows/row-fault.js';
import type { RowRange } from '../../rows/row-range.js';
import type { RowFailure } from '../../rows/source.js';
import { type ImageRow, type ImageRows, imageRefOf } from './image-rows.js';

export interface RecordFiles {
  readonly paths: readonly string[];
  readonly format?: string | undefined;
  /** Default: all rows. */
  readonly range?: RowRange | undefined;
}

/** Names that a column of images usually has, the likeliest first. */
const USUAL = ['image', 'path', 'file_name', 'file', 'filename', 'image_path', 'img', 'photo', 'picture'];

/** `asked`, or the column with a usual name. Throws TANDEM_USAGE where there is none, and as `openRecords`. */
export async function imageColumn({ paths, format }: RecordFiles, asked: string | undefined): Promise<string> {
  if (asked !== undefined) return asked;
  if (paths[0] === STANDARD_STREAM) return USUAL[0]!;
  const records = await openRecords(paths, { format });
  await records.close();
  // The columns of JSON lines are known row by row.
  if (records.columns === null) return USUAL[0]!;
  const names = records.columns.map(({ name }) => name);
  const found = names.length === 1 ? names[0] : USUAL.find((name) => names.includes(name));
  if (found !== undefined) return found;
  throw new TandemError('TANDEM_USAGE', `nothing says which column of ${paths[0]} has the images`, {
    remedy: `add --column NAME; the columns are ${names.slice(0, 20).join(', ')}`,
  });
}

/** Relative paths in the records are relative to the folder of the table. Throws as `openRecords`. */
export async function openRecordImages(
  { paths, format, range }: RecordFiles,
  column: string,
  firstRow: number,
): Promise<ImageRows> {
  const folders = new Set(paths.map((path) => (path === STANDARD_STREAM ? process.cwd() : dirname(resolve(path)))));
  if (folders.size > 1) {
    throw new TandemError(
      'TANDEM_USAGE',
      'the tables are in several folders, so a relative path in them could mean several files',
      {
        remedy: 'give tables of one folder',
      },
    );
  }
  const [folder] = folders;
  const records = await openRecords(paths, { format, firstRow, range });
  const rowOf = (record: Readonly<Record<string, unknown>>, index: number, id: string | number): ImageRow => {
    try {
      return { id, ref: imageRefOf(record[column], column, folder!) };
    } catch (error) {
      if (error instanceof RowFault) return error.at(index, id);
      throw error;
    }
  };
  let first = firstRow;
  return {
    rows: records.rows,
    async next(most) {
      const read = await records.read(most);
      const failures = new Map<number, RowFailure>(read.failures.map((failure) => [failure.index, failure]));
      let good = 0;
      const rows = Array.from({ length: read.rows }, (_, n): ImageRow => {
        const index = first + n;
        return failures.get(index) ?? rowOf(read.records[good++]!, index, read.ids[n]!);
      });
      first += read.rows;
      return rows;
    },
    close: () => records.close(),
  };
}
