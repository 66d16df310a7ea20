/** Reads protobuf messages inside a file: fields are ranges of bytes, and only those that are asked for become values. */
import { TandemError } from '../../errors.js';
import type { ByteRange, FileBytes } from './file-bytes.js';

export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

/** One field of a message; [from, to) is its payload, and the tag (and length) are before it from `start` on. */
export interface Field extends ByteRange {
  readonly number: number;
  readonly wire: number;
  readonly start: number;
  /** Of a varint: an int64, exact up to 2^53, and beyond that only known to be large. */
  readonly value: number;
}

/** The longest name; longer ones are treated as an attack. */
const TEXT_BYTES = 1 << 20;

export function invalid(file: FileBytes, what: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', `${file.path}: ${what}`, {
    remedy: 'the file is damaged or not an ONNX model; export or download it again',
  });
}

/** The fields of the message in `range`, in file order. Every length is checked against the message that encloses it. */
export function* fieldsOf(file: FileBytes, range: ByteRange): Generator<Field> {
  const varint = new Varint(file, range.to);
  for (let at = range.from; at < range.to; ) {
    const start = at;
    const tag = varint.read(at);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number < 1 || number > 0x1fffffff) throw invalid(file, `no field can have number ${number} (byte ${start})`);
    let from = varint.end;
    let to = from;
    let value = 0;
    if (wire === VARINT) {
      value = varint.read(from);
      to = varint.end;
    } else if (wire === BYTES) {
      const length = varint.read(from);
      from = varint.end;
      to = from + length;
      if (length < 0 || !(to <= range.to)) {
        throw invalid(file, `the field at byte ${start} has ${length} bytes, but its message ends at byte ${range.to}`);
      }
    } else if (wire === FIXED32 || wire === FIXED64) {
      to = from + (wire === FIXED32 ? 4 : 8);
      if (to > range.to) throw invalid(file, `the field at byte ${start} goes past its message`);
    } else {
      throw invalid(file, `byte ${start} does not start a field`);
    }
    yield { number, wire, start, from, to, value };
    at = to;
  }
}

/** Reads varints; `end` is the position after the last one. */
class Varint {
  end = 0;
  readonly #file: FileBytes;
  readonly #limit: number;

  constructor(file: FileBytes, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  read(from: number): number {
    let value = 0;
    let scale = 1;
    for (let n = 0; n < 10; n++, scale *= 128) {
      if (from + n >= this.#limit) throw invalid(this.#file, `a number at byte ${from} goes past its message`);
      const byte = this.#file.at(from + n);
      value += (byte & 127) * scale;
      if (byte < 128) {
        this.end = from + n + 1;
        return n < 9 ? value : this.#negative(from);
      }
    }
    throw invalid(this.#file, `a number at byte ${from} does not end`);
  }

  /** Ten bytes: an int64 with its sign bit set. */
  #negative(from: number): number {
    let value = 0n;
    for (let n = 0; n < 10; n++) value |= BigInt(this.#file.at(from + n) & 127) << BigInt(7 * n);
    return Number(BigInt.asIntN(64, value));
  }
}

/** A length-delimited field as text. */
export function textOf(file: FileBytes, field: Field): string {
  expectBytes(file, field);
  if (field.to - field.from > TEXT_BYTES)
    throw invalid(file, `a name of ${field.to - field.from} bytes at ${field.from}`);
  const text = file.text(field);
  if (text === null) throw invalid(file, `the name at byte ${field.from} is not UTF-8`);
  return text;
}

/** The integers of a repeated field, which may be packed or not. */
export function integersOf(file: FileBytes, field: Field): number[] {
  if (field.wire === VARINT) return [field.value];
  expectBytes(file, field);
  const varint = new Varint(file, field.to);
  const values: number[] = [];
  for (let at = field.from; at < field.to; at = varint.end) values.push(varint.read(at));
  return values;
}

/** Throws unless the field is length-delimited: a message, a string or packed numbers. */
export function expectBytes(file: FileBytes, field: Field): void {
  if (field.wire !== BYTES) throw invalid(file, `field ${field.number} at byte ${field.start} should hold bytes`);
}
