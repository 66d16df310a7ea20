/** Makes files of rows of any length without holding them, the same bytes from the same seed: node dist/scripts/make-rows.js FILE ROWS DIMS… */
import { closeSync, openSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { npyHeader } from '../src/job/formats/npy-header.js';
import { Random } from './make-model/random.js';

/** So many rows differ from each other; then they come again. */
const ROUND = 1000;

/** Writes `rows` rows of shape `dims`, float32 from -1 to 1: NPY if `path` ends so, else JSON lines. */
export function makeRows(path: string, rows: number, dims: readonly number[], seed = 1): void {
  const perRow = dims.reduce((product, dim) => product * dim, 1);
  const values = new Random(seed).floats(ROUND * perRow, -1, 1);
  const npy = path.endsWith('.npy');
  const bytesOf = (count: number) =>
    npy
      ? new Uint8Array(values.buffer, 0, count * perRow * 4)
      : Buffer.from(Array.from({ length: count }, (_, row) => `${lineOf(values, row * perRow, dims)}\n`).join(''));
  const file = openSync(path, 'w');
  try {
    if (npy) writeAll(file, npyHeader('float32', dims, rows));
    const round = bytesOf(ROUND);
    for (let n = 0; n < Math.floor(rows / ROUND); n++) writeAll(file, round);
    writeAll(file, bytesOf(rows % ROUND));
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
    process.stderr.write('use: make-rows FILE ROWS DIMS…, for example: rows.npy 1000000 16\n');
    process.exitCode = 2;
    return;
  }
  makeRows(path, Number(rows), dims.map(Number));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.slice(2));
