/**
 * Writes rows as Parquet or as an Arrow file. Both end with a directory of their parts, so the rows grow in a file beside the output, a batch
 * for each micro-batch, and the output is made of that in one go at the end: its bytes do not depend on where a run was killed. Row groups have
 * equally many rows, about 4 MiB: the encoder holds one several times. If the disk fills up meanwhile no row is lost.
 */
import { TandemError } from '../../errors.js';
import { giveBackMemory } from '../../machine/give-back-memory.js';
import { arrowLibrary } from '../../rows/arrow/arrow-library.js';
import { ParquetThread } from '../../rows/parquet-thread.js';
import type { OutputFiles } from '../files.js';
import { noRows } from '../npy/npy-writer.js';
import type { PartialFile } from '../partial-file.js';
import type { Earlier, RowsWriter, WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { checkSameColumns, tableColumns } from '../table-columns.js';
import { arrowFileWriter } from './arrow-file-writer.js';
import { batchBytes } from './rows-batch.js';

export type TableFormat = 'parquet' | 'arrow';

/** What each format begins with. */
const MAGIC: Readonly<Record<TableFormat, Buffer>> = { parquet: Buffer.from('PAR1'), arrow: Buffer.from('ARROW1\0\0') };
/** The rows' suffix after the output's name. */
const ROWS = '.1';
const GROUP_BYTES = 4 << 20;
const MOST_GROUP_ROWS = 1 << 16;
/** Bytes of the length before each batch. */
const PREFIX = 4;

export class TableWriter implements RowsWriter {
  readonly #format: TableFormat;
  readonly #files: OutputFiles;
  readonly #out: PartialFile;
  /** Settles when what is written is durable. */
  readonly #keep: () => Promise<void>;
  #file: PartialFile | null = null;
  #names: readonly string[];
  #rows: number;
  /** Whether the output is made, and the rows beside it are not needed any more. */
  #isWhole: boolean;

  private constructor(
    format: TableFormat,
    files: OutputFiles,
    out: PartialFile,
    keep: () => Promise<void>,
    earlier?: Earlier,
  ) {
    this.#format = format;
    this.#files = files;
    this.#out = out;
    this.#keep = keep;
    this.#names = earlier?.state.names ?? [];
    this.#rows = earlier?.rows ?? 0;
    this.#isWhole = earlier?.state.isWhole ?? false;
  }

  static async open(
    format: TableFormat,
    files: OutputFiles,
    out: PartialFile,
    keep: () => Promise<void>,
    earlier?: Earlier,
  ): Promise<TableWriter> {
    const writer = new TableWriter(format, files, out, keep, earlier);
    // Missing packages are reported before any row is computed.
    await arrowLibrary();
    if (files.isLeft(ROWS) && !writer.#isWhole) writer.#file = await files.open(ROWS);
    else await files.remove(ROWS);
    return writer;
  }

  async write(batch: RowsDone): Promise<void> {
    const names = tableColumns(batch);
    if (this.#names.length > 0) checkSameColumns(this.#names, names);
    const bytes = batchBytes(await arrowLibrary(), batch);
    if (this.#out.size === 0) await this.#out.writeHead(MAGIC[this.#format]);
    this.#file ??= await this.#files.open(ROWS);
    const prefix = Buffer.alloc(PREFIX);
    prefix.writeUInt32LE(bytes.length);
    await this.#file.write(Buffer.concat([prefix, bytes]));
    this.#names = names;
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return { names: this.#names, ...(this.#isWhole && { isWhole: true }) };
  }

  async updateHeaders(): Promise<void> {}

  async finish(): Promise<void> {
    if (this.#isWhole) return;
    if (this.#file === null) throw noRows();
    const { mark } = this.#out;
    try {
      if (this.#format === 'parquet') await this.#makeParquet(this.#file);
      else await this.#makeArrow(this.#file);
    } catch (error) {
      await this.#out.rewind(mark);
      throw error;
    }
    this.#isWhole = true;
    await this.#keep();
    await this.#files.remove(ROWS);
  }

  async dispose(): Promise<void> {
    await this.#file?.close();
  }

  async #makeParquet(rows: PartialFile): Promise<void> {
    const chunks: Uint8Array[] = [];
    let skip = MAGIC.parquet.length;
    await giveBackMemory();
    const thread = new ParquetThread(null, (chunk) => chunks.push(chunk));
    const drain = async () => {
      for (const chunk of chunks.splice(0)) {
        const from = Math.min(skip, chunk.length);
        skip -= from;
        await this.#out.write(chunk.subarray(from));
      }
    };
    try {
      const rowGroupRows = Math.max(1, Math.min(MOST_GROUP_ROWS, Math.floor(GROUP_BYTES / (rows.size / this.#rows))));
      await thread.ask({ kind: 'write', rowGroupRows });
      for await (const batch of batchesOf(rows)) {
        await thread.ask({ kind: 'batch', batch });
        await drain();
      }
      await thread.ask({ kind: 'end' });
      await drain();
    } catch (cause) {
      if (cause instanceof TandemError) throw cause;
      throw new TandemError('TANDEM_OUTPUT_FAILED', `the Parquet file cannot be made: ${(cause as Error).message}`, {
        remedy: 'the rows are kept: run the same command again',
        cause,
      });
    } finally {
      await thread.close();
    }
  }

  async #makeArrow(rows: PartialFile): Promise<void> {
    const arrow = await arrowLibrary();
    async function* batches() {
      for await (const bytes of batchesOf(rows)) yield* arrow.tableFromIPC(bytes).batches;
    }
    let skip = MAGIC.arrow.length;
    const writer = arrowFileWriter(arrow);
    const writing = writer.writeAll(batches() as never);
    for await (const chunk of writer as unknown as AsyncIterable<Uint8Array>) {
      const from = Math.min(skip, chunk.length);
      skip -= from;
      if (from < chunk.length) await this.#out.write(chunk.subarray(from));
    }
    await writing;
  }
}

/** The batches in the file of rows, in order. */
async function* batchesOf(file: PartialFile): AsyncGenerator<Uint8Array> {
  const prefix = Buffer.alloc(PREFIX);
  for (let at = 0; at < file.size; ) {
    await file.readAt(prefix, at);
    const bytes = new Uint8Array(prefix.readUInt32LE());
    await file.readAt(bytes, at + PREFIX);
    // Who takes the bytes may move them to another thread.
    at += PREFIX + bytes.length;
    yield bytes;
  }
}
