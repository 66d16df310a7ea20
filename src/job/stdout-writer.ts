/** Bytes out to a stream that somebody else owns: each write waits until the stream has taken it, and a reader that goes away is an error. */
import type { Writable } from 'node:stream';
import type { ByteWriter } from './formats/rows-writer.js';
import { outputError } from './output-error.js';

export class StdoutWriter implements ByteWriter {
  readonly #stream: Writable;
  /** The stream's first error: what comes after it only says that the stream is destroyed. */
  #failure: Error | null = null;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Never taken off: the event may follow the failed write, and without a listener it would end the process.
    stream.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** Throws TANDEM_OUTPUT_FAILED; `isBrokenPipe` tells when only the reader has gone. */
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
