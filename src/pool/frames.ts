/** Control frames on a pipe between processes: a length (uint32, little endian), then that many bytes of MessagePack. */
import type { Socket } from 'node:net';
import { Packr } from 'msgpackr/index-no-eval';
import { TandemError } from '../errors.js';

/** Longest frame accepted, in bytes. Only warm-up tensors are large; later frames have a few hundred bytes. */
const MAX_FRAME = 0x7fff_ffff;

// Records would make each frame depend on earlier ones; the extended types preserve typed arrays.
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'bigint' as never });

export class Frames {
  readonly #socket: Socket;
  readonly #onFrame: (frame: unknown) => void;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes of the next item: a length, or the frame after it. */
  #wanted = 4;
  #inFrame = false;

  /** `onFrame` is called for each frame, in order. Corrupt data destroys the socket with a coded error. */
  constructor(socket: Socket, onFrame: (frame: unknown) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.on('data', (chunk) => this.#take(chunk));
  }

  send(frame: unknown): void {
    const body = packr.pack(frame);
    if (body.length > MAX_FRAME) {
      throw new TandemError('TANDEM_INTERNAL', `${body.length} bytes are too long for a frame`);
    }
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32LE(body.length);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(body);
    this.#socket.uncork();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= this.#wanted) {
      const bytes = this.#cut(this.#wanted);
      if (this.#inFrame) {
        this.#expect(4, false);
        this.#onFrame(packr.unpack(bytes));
      } else {
        const length = bytes.readUInt32LE();
        if (length > MAX_FRAME) {
          this.#socket.destroy(
            new TandemError('TANDEM_INTERNAL', `the pipe is corrupt: it announces a frame of ${length} bytes`),
          );
          return;
        }
        this.#expect(length, true);
      }
    }
  }

  #expect(bytes: number, inFrame: boolean): void {
    this.#wanted = bytes;
    this.#inFrame = inFrame;
  }

  /** Takes the first `length` buffered bytes. */
  #cut(length: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = length < all.length ? [all.subarray(length)] : [];
    this.#held = all.length - length;
    return all.subarray(0, length);
  }
}
