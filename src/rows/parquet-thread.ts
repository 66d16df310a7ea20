/** A thread that reads or writes one Parquet file, asked by messages, one after another. */
import { Worker } from 'node:worker_threads';
import type { ParquetReply, ParquetRequest } from '../parquet-messages.js';

const WORKER_FILE = new URL('../../workers/parquet-worker.js', import.meta.url);

/** MiB for young JavaScript values: its work is done in WebAssembly, whose memory is apart. */
const YOUNG_MIB = 8;

export class ParquetThread {
  readonly #worker: Worker;
  readonly #onChunk: (chunk: Uint8Array) => void;
  #waiting: { resolve(reply: ParquetReply): void; reject(error: Error): void } | null = null;
  #failure: Error | null = null;

  /** `path` is the file that is read. */
  constructor(path: string | null, onChunk: (chunk: Uint8Array) => void = () => {}) {
    this.#onChunk = onChunk;
    this.#worker = new Worker(WORKER_FILE, {
      workerData: { path },
      stderr: true,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    this.#worker.on('message', (reply: ParquetReply) => this.#take(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('its thread has ended')));
    this.#worker.unref();
  }

  /** Rejects with what the library says. One request at a time. */
  ask(request: ParquetRequest): Promise<ParquetReply> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.ref();
      this.#worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.#failure ??= new Error('it was closed');
    await this.#worker.terminate();
  }

  #take(reply: ParquetReply): void {
    if (reply.chunk) {
      this.#onChunk(reply.chunk);
      return;
    }
    this.#worker.unref();
    const waiting = this.#waiting;
    this.#waiting = null;
    if (reply.error === undefined) waiting?.resolve(reply);
    else waiting?.reject(new Error(reply.error));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}
