/** The UCI optical digits: 1,797 handwritten digits of 8 x 8 pixels with their labels, split into the demo's training and test part. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface Digits {
  readonly rows: number;
  /** (rows, 8, 8, 1), from 0 for paper to 1 for ink. */
  readonly pixels: Float32Array<ArrayBuffer>;
  /** (rows), the label: the written digit. */
  readonly labels: Uint8Array;
}

/** Height and width of an image. */
export const SIDE = 8;
export const CLASSES = 10;
/** Largest pixel value in the file; the smallest is 0. */
const FULL_INK = 16;
/**
 * Training rows; the model never sees the 640 rows after them. The file is a sequence of forms, each by one writer with the same text
 * (the labels repeat), and the split is between two forms: unseen forms are harder than random rows of all forms.
 */
const TRAIN_ROWS = 1157;

const FILE = new URL('../../../scripts/demo/data/digits.csv.gz', import.meta.url);

export function readDigits(): { readonly train: Digits; readonly unseen: Digits } {
  const lines = gunzipSync(readFileSync(FILE)).toString('latin1').trimEnd().split('\n');
  return { train: parse(lines.slice(0, TRAIN_ROWS)), unseen: parse(lines.slice(TRAIN_ROWS)) };
}

/** Each line has 64 pixels, row by row, then the digit. */
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
