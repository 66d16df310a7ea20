/** The demo's files: writes digits as NPY and reads probabilities from NPY. */
import { writeFileSync } from 'node:fs';
import { npyHeader } from '../../src/rows/npy/npy-header.js';
import { openSource } from '../../src/rows/open-source.js';
import { allocate, bytesOf } from '../../src/tensor.js';
import { CLASSES, type Digits, SIDE } from './digits.js';

const SHAPE = [SIDE, SIDE, 1];

/** Writes `rows` rows to `path`: the digits in order, repeated from the first. */
export function writeDigits(path: string, digits: Digits, rows: number): void {
  const all = bytesOf(digits.pixels);
  const left = rows % digits.rows;
  const rest = all.subarray(0, (all.length / digits.rows) * left);
  const copies = new Array<Uint8Array>((rows - left) / digits.rows).fill(all);
  writeFileSync(path, Buffer.concat([npyHeader('float32', SHAPE, rows), ...copies, rest]));
}

/** The first `rows` rows of probabilities at `path`, (rows, 10). */
export async function readProbabilities(path: string, rows: number): Promise<Float32Array> {
  const source = await openSource(path, [{ name: 'probabilities', dtype: 'float32', shape: [null, CLASSES] }]);
  try {
    const shape = [rows, CLASSES];
    const data = allocate('float32', shape) as Float32Array;
    await source.read([{ dtype: 'float32', shape, data }]);
    return data;
  } finally {
    await source.close();
  }
}

/** Number of correctly recognised rows. */
export function countRight(probabilities: Float32Array, { labels }: Digits): number {
  let right = 0;
  for (let row = 0; row * CLASSES < probabilities.length; row++) {
    const scores = probabilities.subarray(row * CLASSES, (row + 1) * CLASSES);
    if (scores.indexOf(Math.max(...scores)) === labels[row]) right++;
  }
  return right;
}
