/** The UCI optical digits: 1,797 handwritten digits of 8 x 8 pixels with their labels, in the two fixed parts of the demo. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface Digits {
  readonly rows: number;
  /** (rows, 8, 8, 1), from 0 for paper to 1 for ink. */
  readonly pixels: Float32Array<ArrayBuffer>;
  /** (rows), the digit that was written. */
  readonly labels: Uint8Array;
}

/** Height and width of an image. */
export const SIDE = 8;
export const CLASSES = 10;
/** Ink in the file goes from 0 to this. */
const FULL_INK = 16;
/**
 * Rows that the model learns from; it never sees the 640 after them. The file goes form by form, each in one hand with the same text
 * (the labels repeat), and a form ends here: what is unseen is whole forms, which is harder than rows drawn from all of them.
 */
const TRAIN_ROWS = 1157;

const FILE = new URL('../../../scripts/demo/data/digits.csv.gz', import.meta.url);

export function readDigits(): { readonly train: Digits; readonly unseen: Digits } {
  const lines = gunzipSync(readFileSync(FILE)).toString('latin1').trimEnd().split('\n');
  return { train: parse(lines.slice(0, TRAIN_ROWS)), unseen: parse(lines.slice(TRAIN_ROWS)) };
}

/** Each line: 64 pixels row by row, then the digit. */
function parse(lines: readonly string[]): Digits {
  const size = SIDE * SIDE;
  const pixels = new Float32Array(lines.length * size);
  const labels = new Uint8Array(lines.length);
  for (const [row, line] of lines.entries()) {
    const numbers = line.split(',').map(Number);
    pixels.set(
      numbers.slice(0, size).map((ink) => ink / FULL_INK),
      row * size,
    );
    labels[row] = numbers[size]!;
  }
  return { rows: lines.length, pixels, labels };
}
