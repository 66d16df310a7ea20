/** An estimate of the rows of text files, from their sizes and their first lines: planning must be in proportion to the job. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { isCompressed } from './byte-chunks.js';

/** Bytes that are looked at in each file. A smaller file is counted whole. */
const HEAD = 1 << 20;
const NEWLINE = 10;

/** About how many lines the files have together; blank lines count too. `null` if one of them is a pipe, is compressed, or has a first line of more than a MiB. */
export function estimateLines(paths: readonly string[]): number | null {
  let sum = 0;
  for (const path of paths) {
    const lines = linesOf(path);
    if (lines === null) return null;
    sum += lines;
  }
  return sum;
}

/** A file that cannot be read is reported by its reader. */
function linesOf(path: string): number | null {
  try {
    // Opening a pipe would wait for its writer.
    if (!statSync(path).isFile()) return null;
    const file = openSync(path, 'r');
    try {
      const stats = fstatSync(file);
      return stats.isFile() ? linesBySample(file, stats.size) : null;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

function linesBySample(file: number, size: number): number | null {
  const head = Buffer.alloc(Math.min(size, HEAD));
  const read = head.subarray(0, readSync(file, head, 0, head.length, 0));
  if (isCompressed(read)) return null;
  let lines = 0;
  for (let at = read.indexOf(NEWLINE); at >= 0; at = read.indexOf(NEWLINE, at + 1)) lines += 1;
  if (read.length >= size) return lines + (size === 0 || read.at(-1) === NEWLINE ? 0 : 1);
  return lines === 0 ? null : Math.round((size / (read.lastIndexOf(NEWLINE) + 1)) * lines);
}
