/** A file read by ranges through one small window, so that a model of any size is read in constant memory. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { TandemError } from '../../errors.js';

/** Bytes [from, to) of a file. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

const WINDOW_BYTES = 256 * 1024;
/** One read call takes less than 2 GiB. */
const READ_BYTES = 1024 ** 3;

/** Reads are by position and synchronous: a model's structure is a few megabytes, its weights are skipped. */
export class FileBytes implements Disposable {
  readonly path: string;
  readonly size: number;
  readonly #fd: number;
  readonly #window: Buffer;
  #windowFrom = 0;
  #windowTo = 0;

  /** Throws TANDEM_MODEL_MISSING when there is no such regular file. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw new TandemError('TANDEM_MODEL_MISSING', `${path} cannot be opened: ${(cause as Error).message}`, { cause });
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw new TandemError('TANDEM_MODEL_MISSING', `${path} is not a file`);
    }
    this.size = stat.size;
    this.#window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(1, stat.size)));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  get whole(): ByteRange {
    return { from: 0, to: this.size };
  }

  /** The byte at `position`, which the caller has checked to be inside the file. */
  at(position: number): number {
    if (position < this.#windowFrom || position >= this.#windowTo) this.#slideTo(position);
    return this.#window[position - this.#windowFrom]!;
  }

  /** A range as text, or `null` if it is not UTF-8. */
  text(range: ByteRange): string | null {
    if (range.to > this.#windowTo || range.from < this.#windowFrom) {
      if (range.to - range.from > this.#window.length) return decode(this.copy(range));
      this.#slideTo(range.from);
      if (range.to > this.#windowTo) return decode(this.copy(range));
    }
    const [from, to] = [range.from - this.#windowFrom, range.to - this.#windowFrom];
    const text = this.#window.toString('utf8', from, to);
    // Undecodable bytes become this character; the text may also contain it.
    return text.includes('\ufffd') ? decode(this.#window.subarray(from, to)) : text;
  }

  /** A fresh copy of a range. */
  copy({ from, to }: ByteRange): Uint8Array {
    if (from >= this.#windowFrom && to <= this.#windowTo) {
      return new Uint8Array(this.#window.subarray(from - this.#windowFrom, to - this.#windowFrom));
    }
    const bytes = new Uint8Array(to - from);
    this.#read(bytes, from);
    return bytes;
  }

  #slideTo(position: number): void {
    this.#windowFrom = position;
    this.#windowTo = position + Math.min(this.#window.length, this.size - position);
    this.#read(this.#window.subarray(0, this.#windowTo - position), position);
  }

  #read(into: Uint8Array, position: number): void {
    for (let done = 0; done < into.length; ) {
      const count = readSync(this.#fd, into, done, Math.min(READ_BYTES, into.length - done), position + done);
      if (count === 0) throw new TandemError('TANDEM_MODEL_INVALID', `${this.path} became shorter while it was read`);
      done += count;
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}
