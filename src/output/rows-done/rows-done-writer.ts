/** Writes finished rows as they came out of the pipeline, so that a merge can write them anew in any format: the results of a shard. */
import { serialize } from 'node:v8';
import { goodRows } from '../../rows/source.js';
import { type ByteWriter, checkRowsAxis, type RowsWriter, type WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';

/** Bytes of a frame's length: an unsigned little endian integer. */
export const LENGTH_BYTES = 6;

/** A file is frames, each a length and then that many bytes of a structured clone of `RowsDone`. Equal rows give equal bytes on one major version of Node. */
export class RowsDoneWriter implements RowsWriter {
  readonly #out: ByteWriter;

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  async write(batch: RowsDone): Promise<void> {
    for (const [name, tensor] of batch.outputs) checkRowsAxis(name, tensor, goodRows(batch));
    // Of this process only.
    const { isOwn: _, ...rows } = batch;
    const body = serialize(rows);
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUIntLE(body.length, 0, LENGTH_BYTES);
    await this.#out.write(head);
    await this.#out.write(body);
  }

  state(): WriterState {
    return {};
  }

  async updateHeaders(): Promise<void> {}

  async finish(): Promise<void> {}

  async dispose(): Promise<void> {}
}
