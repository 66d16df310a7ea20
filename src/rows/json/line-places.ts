/** Finds where the rows of JSON lines begin, without parsing them: the newlines are counted, and now and then a place is noted. */
import { open } from 'node:fs/promises';
import { isCompressed, openChunks } from '../byte-chunks.js';
import { COMPRESSED } from '../format-of-path.js';
import type { ReadingPlace } from '../row-range.js';
import { linesOf } from './jsonl-lines.js';

const NEWLINE = 0x0a;
const CHUNK = 4 << 20;
const BLANKS = new Set([0x20, 0x09, 0x0d]);
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** Places that are kept at most; every second one is dropped when there are more. */
const MOST_PLACES = 200_000;

/**
 * The number of rows, and places at multiples of `unit`. There is none where lines of an OpenAI batch file are among them, whose ids are held
 * against all earlier ones, nor in compressed files.
 */
export async function linePlaces(
  paths: readonly string[],
  unit: number,
): Promise<{ readonly rows: number; readonly places: readonly ReadingPlace[] }> {
  const places = new Places(unit);
  for (const [file, path] of paths.entries()) {
    if (COMPRESSED.test(path)) await countCompressed(path, places);
    else await countLines(path, file, places);
  }
  return { rows: places.rows, places: places.usable ? places.kept : [] };
}

class Places {
  rows = 0;
  usable = true;
  kept: ReadingPlace[] = [];
  #every: number;

  constructor(unit: number) {
    this.#every = unit;
  }

  /** A row begins at this byte. */
  add(file: number, byte: number): void {
    if (this.rows % this.#every === 0) this.#keep({ file, byte, row: this.rows });
    this.rows += 1;
  }

  #keep(place: ReadingPlace): void {
    this.kept.push(place);
    if (this.kept.length < MOST_PLACES) return;
    this.#every *= 2;
    this.kept = this.kept.filter(({ row }) => row % this.#every === 0);
  }
}

async function countCompressed(path: string, places: Places): Promise<void> {
  places.usable = false;
  const { chunks, release } = await openChunks(path, 'jsonl');
  try {
    for await (const _ of linesOf(chunks, { maxBytes: 64 << 20, where: path })) places.rows += 1;
  } finally {
    await release();
  }
}

/** Lines that are blank are no rows, as for the reader. */
async function countLines(path: string, file: number, places: Places): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const marks = new BatchMarks();
    let begin = 0;
    let isBlank = true;
    let isFirst = true;
    for (let at = 0; ; ) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK, at);
      if (bytesRead === 0) break;
      const bytes = chunk.subarray(0, bytesRead);
      // A file that gzip or zstd made under another name.
      if (at === 0 && isCompressed(bytes)) return countCompressed(path, places);
      if (marks.in(bytes)) places.usable = false;
      for (let from = 0; from < bytes.length; ) {
        const newline = bytes.indexOf(NEWLINE, from);
        const end = newline < 0 ? bytes.length : newline;
        if (isBlank) isBlank = blankFrom(bytes, isFirst && at + from === 0 ? skipMark(bytes) : from, end);
        if (newline < 0) break;
        if (!isBlank) places.add(file, begin);
        from = newline + 1;
        begin = at + from;
        isBlank = true;
        isFirst = false;
      }
      at += bytesRead;
    }
    if (!isBlank) places.add(file, begin);
  } finally {
    await handle.close();
  }
}

function blankFrom(bytes: Buffer, from: number, end: number): boolean {
  for (let n = from; n < end; n++) if (!BLANKS.has(bytes[n]!)) return false;
  return true;
}

function skipMark(bytes: Buffer): number {
  return bytes.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
}

/** Looks for the key of a batch line in bytes that come in chunks. A letter of it may be written as an escape. */
class BatchMarks {
  #tail = Buffer.alloc(0);

  in(bytes: Buffer): boolean {
    const across = Buffer.concat([this.#tail, bytes.subarray(0, KEY.length)]);
    this.#tail = Buffer.from(bytes.subarray(-KEY.length));
    return [across, bytes].some(
      (part) => part.includes(KEY) || (part.includes('\\u00') && ESCAPED.test(part.toString('latin1'))),
    );
  }
}

const KEY = 'custom_id';
const ESCAPED = /\\u00(?:5f|6[3459df]|7[345])/i;
