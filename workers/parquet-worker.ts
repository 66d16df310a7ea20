/**
 * The program of a Parquet worker: reads or writes one Parquet file by parquet-wasm (the Rust implementation), in a thread of its own. A damaged
 * file makes that panic, which ends the thread and not the process; its memory goes with the thread.
 */
import { openAsBlob } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ParquetReply, ParquetRequest } from '../src/parquet-messages.js';

type Library = typeof import('parquet-wasm/node');
type File = Awaited<ReturnType<Library['ParquetFile']['fromFile']>>;
type Batches = ReadableStreamDefaultReader<import('parquet-wasm/node').RecordBatch>;

const port: MessagePort = parentPort!;
let file: File;
let batches: Batches | null = null;
/** Takes the next batch that is written; resolves the request that brought it when the encoder wants another. */
let input: ReadableStreamDefaultController | null = null;
let wanted = () => {};
let written: Promise<void>;

port.on('message', (request: ParquetRequest) => {
  answer(request).then(
    (reply) => port.postMessage(reply, transfers(reply)),
    (error) => port.postMessage({ error: String(error) } satisfies ParquetReply),
  );
});

async function answer(request: ParquetRequest): Promise<ParquetReply> {
  const library = (await import('parquet-wasm/node')) as Library;
  switch (request.kind) {
    case 'open':
      return open(library);
    case 'start':
      return start(request);
    case 'next':
      return { batch: await nextBatch() };
    case 'write':
      return write(library, request.rowGroupRows);
    case 'batch': {
      const asked = new Promise<void>((resolve) => {
        wanted = resolve;
      });
      const table = library.Table.fromIPCStream(request.batch);
      for (const batch of table.recordBatches()) input!.enqueue(batch);
      // Else it would keep the memory of its batches until JavaScript collects garbage, of which there is hardly any here.
      table.free();
      await Promise.race([asked, written]);
      return {};
    }
    case 'end':
      input!.close();
      await written;
      return {};
  }
}

async function open(library: Library): Promise<ParquetReply> {
  file = await library.ParquetFile.fromFile(await openAsBlob((workerData as { path: string }).path));
  const metadata = file.metadata();
  const groups = metadata.rowGroups().map((group) => ({
    rows: group.numRows(),
    bytes: group.columns().reduce((sum, column) => sum + column.uncompressedSize(), 0),
    values: group.columns().reduce((sum, column) => sum + column.numValues(), 0),
  }));
  return { schema: file.schema().intoIPCStream(), groups };
}

async function start({
  groups,
  columns,
  batchRows,
}: Extract<ParquetRequest, { kind: 'start' }>): Promise<ParquetReply> {
  const stream = await file.stream({
    rowGroups: [...groups],
    batchSize: batchRows,
    ...(columns && { columns: [...columns] }),
  });
  batches = stream.getReader() as Batches;
  return {};
}

async function nextBatch(): Promise<Uint8Array | null> {
  const { value, done } = await batches!.read();
  return done ? null : value.intoIPCStream();
}

/** What is encoded is posted as it comes. */
async function write(library: Library, rowGroupRows: number): Promise<ParquetReply> {
  const properties = new library.WriterPropertiesBuilder()
    .setCompression(library.Compression.SNAPPY)
    .setMaxRowGroupSize(rowGroupRows)
    .setCreatedBy('tandem')
    .build();
  const stream = new ReadableStream(
    {
      start: (controller) => {
        input = controller;
      },
      pull: () => wanted(),
    },
    { highWaterMark: 1 },
  );
  // The encoder reads the schema off the first batch, so it begins when that is there.
  const encoding = library.transformParquetStream(stream as never, properties) as Promise<ReadableStream<Uint8Array>>;
  written = encoding.then(async (bytes) => {
    const reader = bytes.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      // Moved where it is no part of a larger buffer, such as that of WebAssembly.
      const own = next.value.byteLength === next.value.buffer.byteLength && next.value.buffer instanceof ArrayBuffer;
      const chunk = (own ? next.value : new Uint8Array(next.value)) as Uint8Array<ArrayBuffer>;
      port.postMessage({ chunk } satisfies ParquetReply, [chunk.buffer]);
    }
  });
  written.catch(() => {});
  return {};
}

function transfers(reply: ParquetReply): ArrayBuffer[] {
  const bytes = reply.batch ?? reply.schema;
  return bytes && bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
}
