/** Reads GGUF files: their metadata, and tensors dequantised to float32, as far as SmolLM2's file needs it. */
import { closeSync, openSync, readSync } from 'node:fs';
import { FLOAT16, fromWord } from '../src/rows/half-float.js';

export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

interface TensorInfo {
  readonly shape: readonly number[];
  readonly type: number;
  readonly offset: number;
}

/** Numbers of a block and its bytes, by ggml's type. */
const BLOCKS: Readonly<Record<number, { readonly count: number; readonly bytes: number }>> = {
  0: { count: 1, bytes: 4 },
  1: { count: 1, bytes: 2 },
  3: { count: 32, bytes: 20 },
  8: { count: 32, bytes: 34 },
};

/** The head is read as a whole; it has the vocabulary. */
const HEAD_BYTES = 32 * 2 ** 20;

export class Gguf {
  readonly metadata = new Map<string, GgufValue>();
  readonly #tensors = new Map<string, TensorInfo>();
  readonly #file: number;
  readonly #data: number;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    const head = Buffer.alloc(HEAD_BYTES);
    readSync(this.#file, head, 0, HEAD_BYTES, 0);
    if (head.toString('latin1', 0, 4) !== 'GGUF' || head.readUInt32LE(4) !== 3)
      throw new Error(`${path} is not GGUF 3`);
    const [tensors, entries] = [Number(head.readBigUInt64LE(8)), Number(head.readBigUInt64LE(16))];
    const reader = new Reader(head, 24);
    for (let n = 0; n < entries; n++) {
      const key = reader.text();
      this.metadata.set(key, reader.value(reader.u32()));
    }
    for (let n = 0; n < tensors; n++) {
      const name = reader.text();
      const shape = Array.from({ length: reader.u32() }, () => reader.u64()).reverse();
      this.#tensors.set(name, { shape, type: reader.u32(), offset: reader.u64() });
    }
    this.#data = Math.ceil(reader.at / 32) * 32;
  }

  /** Row-major, as [out, in]. */
  tensor(name: string): Float32Array {
    const info = this.#tensors.get(name);
    const block = info && BLOCKS[info.type];
    if (!info || !block) throw new Error(`the file has no tensor "${name}" of a known type`);
    const count = info.shape.reduce((a, b) => a * b, 1);
    const bytes = Buffer.alloc((count / block.count) * block.bytes);
    readSync(this.#file, bytes, 0, bytes.length, this.#data + info.offset);
    const values = new Float32Array(count);
    for (let n = 0, at = 0; n < count; n += block.count, at += block.bytes) dequantise(info.type, bytes, at, values, n);
    return values;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function dequantise(type: number, bytes: Buffer, at: number, values: Float32Array, n: number): void {
  if (type === 0) values[n] = bytes.readFloatLE(at);
  else if (type === 1) values[n] = half(bytes, at);
  else if (type === 8) {
    const scale = half(bytes, at);
    for (let k = 0; k < 32; k++) values[n + k] = scale * bytes.readInt8(at + 2 + k);
  } else {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let k = 0; k < 16; k++) {
      const byte = bytes[at + 4 + k]!;
      values[n + k] = scale * (byte & 15) + least;
      values[n + k + 16] = scale * (byte >> 4) + least;
    }
  }
}

function half(bytes: Buffer, at: number): number {
  return fromWord(bytes.readUInt16LE(at), FLOAT16);
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  u32(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  u64(): number {
    this.at += 8;
    return Number(this.#bytes.readBigUInt64LE(this.at - 8));
  }

  text(): string {
    const length = this.u64();
    this.at += length;
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }

  /** A value of one of GGUF's types. */
  value(type: number): GgufValue {
    if (type === 8) return this.text();
    if (type === 9) {
      const [element, count] = [this.u32(), this.u64()];
      return Array.from({ length: count }, () => this.value(element));
    }
    if (type === 4) return this.u32();
    if (type === 10 || type === 11) return this.u64();
    const size = [1, 1, 2, 2, 4, 4, 4, 1][type] ?? 8;
    this.at += size;
    const from = this.at - size;
    if (type === 5) return this.#bytes.readInt32LE(from);
    if (type === 6) return this.#bytes.readFloatLE(from);
    if (type === 12) return this.#bytes.readDoubleLE(from);
    return this.#bytes.readUIntLE(from, size);
  }
}
