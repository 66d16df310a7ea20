/** Damages an ONNX file: bytes at random, or fields with all enclosing lengths corrected. */
import { FileBytes } from '../../src/model/onnx/file-bytes.js';
import { BYTES, type Field, fieldsOf, VARINT } from '../../src/model/onnx/wire.js';
import { WireWriter } from '../../src/model/onnx/wire-writer.js';

/** A field with its enclosing fields, outermost first. */
interface Place {
  readonly field: Field;
  readonly within: readonly Field[];
}

export interface Mutation {
  readonly what: string;
  readonly bytes: Uint8Array;
}

const MAX_DEPTH = 12;
const NUMBERS = [0, 1, 2, 7, 8, 16, 127, 255, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53, -1, -(2 ** 31)];
const PATHS = [
  '../secret.bin',
  '../../../../../../etc/passwd',
  '/etc/passwd',
  'sub/../../secret.bin',
  'link.bin',
  '..\\secret.bin',
  'file:///etc/passwd',
  'model.onnx',
  'model.onnx_data',
  'a\0b',
  '',
];

/** The file at `path` with damage that depends only on `random`. */
export function mutate(path: string, random: () => number): Mutation {
  using file = new FileBytes(path);
  const bytes = file.copy(file.whole);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const kind = Math.floor(random() * 8);
  if (kind === 0) return { what: 'flipped bytes', bytes: flipped(bytes, random) };
  if (kind === 1) return { what: 'cut short', bytes: bytes.slice(0, Math.floor(random() * bytes.length)) };
  const places = placesIn(file);
  const texts = places.filter(({ field }) => field.wire === BYTES && isText(bytes.subarray(field.from, field.to)));
  const numbers = places.filter(({ field }) => field.wire === VARINT);
  const data = places.filter(({ field }) => field.wire === BYTES);
  if (kind === 2) {
    const { field } = pick(data);
    const longer = bytes.slice();
    // The byte before the payload is the last byte of its length.
    longer[field.from - 1]! = pick([0, 1, 64, 127, longer[field.from - 1]! + 1]);
    return { what: `length of field ${field.number} at ${field.start}`, bytes: longer };
  }
  if (kind === 3) {
    const place = pick(numbers);
    const value = pick(NUMBERS);
    return edit(bytes, place, (field) => field.integer(place.field.number, value), `number = ${value}`);
  }
  if (kind === 4 || kind === 5) {
    const place = pick(texts);
    const text = kind === 4 ? pick(texts).field : null;
    const value = text ? bytes.subarray(text.from, text.to) : new TextEncoder().encode(pick(PATHS));
    return edit(
      bytes,
      place,
      (field) => field.block(place.field.number, value),
      `text = ${new TextDecoder().decode(value)}`,
    );
  }
  const place = pick(places);
  const whole = bytes.subarray(place.field.start, place.field.to);
  if (kind === 6) return edit(bytes, place, () => {}, 'left out');
  return edit(bytes, place, (field) => field.raw(whole).raw(whole), 'doubled');
}

function flipped(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = bytes.slice();
  const times = 1 + Math.floor(random() * 8);
  for (let n = 0; n < times; n++) copy[Math.floor(random() * copy.length)]! ^= 1 << Math.floor(random() * 8);
  return copy;
}

/** Every field of the file, including nested messages. */
function placesIn(file: FileBytes): Place[] {
  const places: Place[] = [];
  const walk = (range: { from: number; to: number }, within: readonly Field[]): boolean => {
    const before = places.length;
    try {
      for (const field of fieldsOf(file, range)) {
        places.push({ field, within });
        if (field.wire === BYTES && within.length < MAX_DEPTH) walk(field, [...within, field]);
      }
      return true;
    } catch {
      // Not a message but text or numbers.
      places.length = before;
      return false;
    }
  };
  walk(file.whole, []);
  return places;
}

function isText(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.length < 200 && bytes.every((byte) => byte >= 32 && byte < 127);
}

/** Replaces `place` by the bytes of `write`, and corrects the enclosing lengths. */
function edit(bytes: Uint8Array, place: Place, write: (field: WireWriter) => void, what: string): Mutation {
  const replacement = new WireWriter();
  write(replacement);
  let encoded = replacement.bytes();
  let inner: Field = place.field;
  for (const outer of [...place.within].reverse()) {
    const before = bytes.subarray(outer.from, inner.start);
    const payload = Buffer.concat([before, encoded, bytes.subarray(inner.to, outer.to)]);
    encoded = new WireWriter().block(outer.number, payload).bytes();
    inner = outer;
  }
  const whole = Buffer.concat([bytes.subarray(0, inner.start), encoded, bytes.subarray(inner.to)]);
  return { what: `field ${place.field.number} at ${place.field.start}: ${what}`, bytes: whole };
}
