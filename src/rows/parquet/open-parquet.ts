/** Opens a Parquet file as records: one row group after another, a thousand rows at a time. */
import type { RecordBatch } from 'apache-arrow';
import { TandemError } from '../../errors.js';
import type { ParquetRequest, RowGroup } from '../../parquet-messages.js';
import { arrowLibrary } from '../arrow/arrow-library.js';
import { BatchRecords, columnsOf } from '../arrow/batch-records.js';
import { openInput } from '../input-file.js';
import { ParquetThread } from '../parquet-thread.js';
import type { ReadOptions, RecordReader } from '../record-reader.js';

const BATCH_ROWS = 1024;
/** Decompressed bytes of the rows that are read at a time, by their mean size. */
const BATCH_BYTES = 32 << 20;
/** Bytes of a number, at most. */
const VALUE_BYTES = 8;
/** Decompressed bytes of a row group, which its reader may hold at once. */
const MOST_GROUP_BYTES = 2 ** 31;

/** Throws TANDEM_INPUT_MISSING, TANDEM_INPUT_INVALID. */
export async function openParquet(path: string, { columns }: ReadOptions): Promise<RecordReader> {
  const arrow = await arrowLibrary();
  await checkFile(path);
  const thread = new ParquetThread(path);
  const ask = (request: ParquetRequest) => thread.ask(request).catch((cause) => Promise.reject(invalid(path, cause)));
  try {
    const { schema, groups } = await ask({ kind: 'open' });
    const { schema: read } = arrow.tableFromIPC(schema!);
    const wanted = columnsOf(arrow, read, columns, path);
    checkGroups(path, groups!);
    async function* batches(firstRow: number): AsyncGenerator<RecordBatch> {
      const from = groupOf(groups!, firstRow).group;
      const some = columns ? wanted.map(({ name }) => name) : null;
      for (let group = from; group < groups!.length; group++) {
        await ask({ kind: 'start', groups: [group], columns: some, batchRows: batchRowsOf(groups![group]!) });
        for (;;) {
          const { batch } = await ask({ kind: 'next' });
          if (!batch) break;
          yield* arrow.tableFromIPC(batch).batches;
        }
      }
    }
    return new BatchRecords(arrow, {
      rows: groups!.reduce((sum, { rows }) => sum + rows, 0),
      columns: wanted,
      read: batches,
      beginOf: (firstRow) => groupOf(groups!, firstRow).begin,
      damaged: (cause) => invalid(path, cause),
      close: () => thread.close(),
    });
  } catch (error) {
    await thread.close();
    throw error;
  }
}

/** Fewer rows at a time where they are large, such as images. */
function batchRowsOf({ rows, bytes, values }: RowGroup): number {
  const held = Math.max(1, bytes, values * VALUE_BYTES);
  return Math.max(1, Math.min(BATCH_ROWS, Math.floor((BATCH_BYTES * rows) / held)));
}

/** The group that holds a row, and the group's first row. */
function groupOf(groups: readonly RowGroup[], row: number): { group: number; begin: number } {
  let begin = 0;
  for (const [group, { rows }] of groups.entries()) {
    if (row < begin + rows) return { group, begin };
    begin += rows;
  }
  return { group: groups.length, begin };
}

/** The library reads at any position and never looks at the path itself. */
async function checkFile(path: string): Promise<void> {
  const { handle, size } = await openInput(path);
  try {
    if (size === null) throw invalid(path, new Error('it is a pipe, and Parquet has its directory at its end'));
    const mark = Buffer.alloc(4);
    await handle.read(mark, 0, 4, 0);
    if (mark.toString('latin1') !== 'PAR1') throw invalid(path, new Error('it does not begin as Parquet does'));
    await handle.read(mark, 0, 4, Math.max(0, size - 4));
    if (mark.toString('latin1') !== 'PAR1') throw invalid(path, new Error('it was cut short'));
  } finally {
    await handle.close();
  }
}

function checkGroups(path: string, groups: readonly RowGroup[]): void {
  const large = groups.find(({ bytes }) => bytes > MOST_GROUP_BYTES);
  if (!large) return;
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${path} has a row group of ${large.bytes} bytes, too many to read at once`,
    {
      remedy: 'write it with smaller row groups: pq.write_table(pq.read_table(FILE), FILE, row_group_size=100_000)',
    },
  );
}

function invalid(path: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TandemError('TANDEM_INPUT_INVALID', `${path} cannot be read as Parquet: ${reason}`, {
    remedy: 'the file is damaged or was cut short: copy or write it again',
    cause,
  });
}
