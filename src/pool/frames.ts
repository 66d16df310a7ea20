/** Control frames on a pipe between processes: a length (uint32, little endian), then that many bytes of MessagePack. */
import type { Socket } from 'node:net';
import { Packr } from 'msgpackr/index-no-eval';
import { TandemError } from '../errors.js';

/** Longest frame taken, in bytes. Only warm-up tensors are large; everything later is a few hundred bytes. */
const MAX_FRAME = 0x7fff_ffff;

// Records would tie each frame to those before it; the extended types carry typed arrays as what they are.
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'bigint' as never });

export class Frames {
  readonly #socket: Socket;
  readonly #onFrame: (frame: unknown) => void;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes that the next step needs: a length, or the frame that it announced. */
  #wanted = 4;
  #inFrame = false;

  /** `onFrame` is called for each frame, in order. Damage destroys the socket with a coded error. */
  constructor(socket: Socket, onFrame: (frame: unknown) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.on('data', (chunk) => this.#take(chunk));
  }

  send(frame: unknown): void {
    const body = packr.pack(frame);
    if (body.length > MAX_FRAME) {
      throw new TandemError('TANDEM_INTERNAL', `${body.length} bytes are more than a frame holds`);
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
            new TandemError('TANDEM_INTERNAL', `a frame of ${length} bytes is no frame of tandem's`),
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

  /** The first `length` bytes held; chunks are joined only when there are enough of them. */
  #cut(length: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = length < all.length ? [all.subarray(length)] : [];
    this.#held = all.length - length;
    return all.subarray(0, length);
  }
}
