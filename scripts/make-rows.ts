/** Generates files of any number of rows with constant memory; the same seed gives the same bytes: node dist/scripts/make-rows.js FILE ROWS DIMS… */
import { closeSync, openSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Random } from '../src/prove/models/random.js';
import { npyHeader } from '../src/rows/npy/npy-header.js';

/** Number of different rows; then they repeat. */
const ROUND = 1000;

export interface RowsOptions {
  readonly seed?: number;
  /** One bad row (with NaN) per this many rows, and 3,000 consecutive bad rows. */
  readonly badEvery?: number;
}

/** Writes `rows` rows of shape `dims`, float32 from -1 to 1: NPY if `path` ends in .npy, else JSON lines. */
export function makeRows(
  path: string,
  rows: number,
  dims: readonly number[],
  { seed = 1, badEvery = 0 }: RowsOptions = {},
): void {
  const perRow = dims.reduce((product, dim) => product * dim, 1);
  const values = new Random(seed).floats(ROUND * perRow, -1, 1);
  for (let row = badEvery - 1; badEvery > 0 && row < ROUND; row += badEvery) values[row * perRow] = Number.NaN;
  const npy = path.endsWith('.npy');
  const bytesOf = (count: number) =>
    npy
      ? new Uint8Array(values.buffer, 0, count * perRow * 4)
      : Buffer.from(Array.from({ length: count }, (_, row) => `${lineOf(values, row * perRow, dims)}\n`).join(''));
  const file = openSync(path, 'w');
  try {
    if (npy) writeAll(file, npyHeader('float32', dims, rows));
    const round = Buffer.from(bytesOf(ROUND));
    const last = Buffer.from(bytesOf(rows % ROUND));
    const rounds = Math.floor(rows / ROUND);
    const middle = Math.floor(rounds / 2);
    if (badEvery > 0) values.fill(Number.NaN);
    for (let n = 0; n < rounds; n++) {
      writeAll(file, badEvery > 0 && n >= middle && n < middle + 3 ? bytesOf(ROUND) : round);
    }
    writeAll(file, last);
  } finally {
    closeSync(file);
  }
}

/** Nested lists of the elements from `at` on. */
function lineOf(values: Float32Array, at: number, [length = 1, ...inner]: readonly number[]): string {
  const step = inner.reduce((product, dim) => product * dim, 1);
  const elements = Array.from({ length }, (_, n) =>
    inner.length > 0 ? lineOf(values, at + n * step, inner) : String(values[at + n]),
  );
  return `[${elements.join(',')}]`;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

function main([path, rows, ...dims]: readonly string[]): void {
  if (!path || !rows || dims.length === 0) {
    process.stderr.write('usage: make-rows FILE ROWS DIMS…, for example: rows.npy 1000000 16\n');
    process.exitCode = 2;
    return;
  }
  makeRows(path, Number(rows), dims.map(Number));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.slice(2));
