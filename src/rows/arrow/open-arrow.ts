/** Opens Arrow IPC as records: files (Feather) and streams, batch by batch. */
import type { RecordBatch, RecordBatchReader } from 'apache-arrow';
import { TandemError } from '../../errors.js';
import type { ByteChunks } from '../byte-chunks.js';
import type { ReadOptions, RecordReader } from '../record-reader.js';
import { type Arrow, allowUnpacking, arrowLibrary } from './arrow-library.js';
import { BatchRecords, columnsOf } from './batch-records.js';
import { checkBatch } from './check-batch.js';
import { ipcMessages } from './ipc-messages.js';

/** Owns `bytes` from now on. Throws TANDEM_INPUT_INVALID. */
export async function openArrow(bytes: ByteChunks, where: string, { columns }: ReadOptions): Promise<RecordReader> {
  const arrow = await arrowLibrary();
  try {
    const chunks = bytes.chunks[Symbol.asyncIterator]();
    const reader = await damaged(where, async () => {
      const opened = await arrow.RecordBatchReader.from(ipcMessages(chunks));
      await opened.open({ autoDestroy: false });
      if (!opened.schema) throw new Error('it has no schema');
      return opened as RecordBatchReader;
    });
    return new BatchRecords(arrow, {
      rows: null,
      columns: columnsOf(arrow, reader.schema, columns, where),
      read: () => batchesOf(arrow, reader, where),
      beginOf: () => 0,
      damaged: (cause) => invalid(where, cause),
      close: () => bytes.release(),
    });
  } catch (error) {
    await bytes.release();
    throw error;
  }
}

async function* batchesOf(arrow: Arrow, reader: RecordBatchReader, where: string): AsyncGenerator<RecordBatch> {
  for (;;) {
    allowUnpacking();
    const { value, done } = await damaged(where, async () => reader.next());
    if (done) return;
    await damaged(where, async () => checkBatch(arrow, value));
    yield value;
  }
}

async function damaged<T>(where: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw invalid(where, cause);
  }
}

function invalid(where: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TandemError('TANDEM_INPUT_INVALID', `${where} cannot be read as Arrow: ${reason}`, {
    remedy: 'the file is damaged or was cut short: copy or write it again',
    cause,
  });
}
