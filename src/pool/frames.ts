/**
 * Frames on a pipe between processes: a length (uint32, little endian), then that many bytes of MessagePack. Slots cross thousands of times,
 * and code that runs once in a micro-batch runs cold: their frames, told by the highest bit of the length, are words as they lie in memory.
 */
import type { Socket } from 'node:net';
import { Packr } from 'msgpackr/index-no-eval';
import { TandemError } from '../errors.js';

/** In a length: what follows is a slot's number and its words, Int32 each. The rest of it is the longest frame, of which only warm-up tensors come near. */
const OF_SLOT = 0x8000_0000;

// Records would tie each frame to those before it; the extended types carry typed arrays as what they are.
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'bigint' as never });

/** Who is told of frames, each in its turn. */
export interface Listener {
  frame(frame: unknown): void;
  /** `words` as of `Slot.words`. */
  slot(slot: number, words: Int32Array): void;
}

export class Frames {
  readonly #socket: Socket;
  readonly #listener: Listener;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes that the next step needs: a length, or the frame that it announced. */
  #wanted = 4;
  #inFrame = false;
  #ofSlot = false;

  constructor(socket: Socket, listener: Listener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.on('data', (chunk) => this.#take(chunk));
  }

  send(frame: unknown): void {
    const body = packr.pack(frame);
    if (body.length >= OF_SLOT) {
      throw new TandemError('TANDEM_INTERNAL', `${body.length} bytes are more than a frame holds`);
    }
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32LE(body.length);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(body);
    this.#socket.uncork();
  }

  sendSlot(slot: number, words: Int32Array): void {
    const whole = new Int32Array(2 + words.length);
    const bytes = Buffer.from(whole.buffer);
    bytes.writeUInt32LE(OF_SLOT + bytes.length - 4);
    whole[1] = slot;
    whole.set(words, 2);
    this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= this.#wanted) {
      const bytes = this.#cut(this.#wanted);
      if (!this.#inFrame) {
        const length = bytes.readUInt32LE();
        this.#ofSlot = length >= OF_SLOT;
        this.#expect(this.#ofSlot ? length - OF_SLOT : length, true);
        continue;
      }
      this.#expect(4, false);
      if (this.#ofSlot) this.#tellSlot(bytes);
      else this.#listener.frame(packr.unpack(bytes));
    }
  }

  #tellSlot(bytes: Buffer): void {
    const words = new Int32Array(bytes.length / 4);
    Buffer.from(words.buffer).set(bytes);
    this.#listener.slot(words[0]!, words.subarray(1));
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
