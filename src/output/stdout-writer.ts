/** Writes bytes to a stream that the caller owns. Each write waits until the stream accepts it; a reader that ends early is an error. */
import type { Writable } from 'node:stream';
import { outputError } from './error.js';
import type { ByteWriter } from './rows-writer.js';

export class StdoutWriter implements ByteWriter {
  readonly #stream: Writable;
  /** The stream's first error. Later errors only report that the stream is destroyed. */
  #failure: Error | null = null;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Never removed: the event may come after the failed write, and without a listener it would end the process.
    stream.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** Throws TANDEM_OUTPUT_FAILED; `isBrokenPipe` recognises a reader that has ended. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, (error) => {
        if (!error) return resolve();
        this.#failure ??= error;
        reject(outputError('stdout', this.#failure));
      });
    });
  }
}
