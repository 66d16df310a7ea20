/**
 * The journal's records as bytes: what begins a job, and what it has put on the disk since.
 *
 *   record   "TDJ" version(u8) length(u32) crc(u32) payload
 *            little-endian; `length` is of the payload, `crc` is CRC-32 of version, length and payload; the payload is JSON
 *
 * Each record is on the disk before the next is written, so a crash can tear only the last one. That is the whole rule of
 * repair: what is torn at the end never counted and is dropped; damage with a whole record after it is refused.
 */
import { crc32 } from 'node:zlib';
import type { Plan } from '../plan/plan.js';
import type { Earlier } from './formats/rows-writer.js';
import type { Marks } from './output-files.js';

/** What a job is: written once, before its first row. */
export interface Beginning {
  readonly kind: 'begin';
  /** What its bytes depend on: in a second run all of it must be the same. */
  readonly fingerprint: Readonly<Record<string, string>>;
  /** What was asked for, so that it can be asked for again; whoever wrote it reads it. */
  readonly request: unknown;
  readonly plan: Plan;
  /** Rows in all, where that is known before reading. */
  readonly total: number | null;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** How far a job has come. All that it says lay safely on the disk before it was written. */
export interface Commit extends Earlier {
  readonly kind: 'commit';
  readonly failedRows: number;
  readonly files: Marks;
  /** Whether the files are whole and wait for nothing but their names. */
  readonly sealed: boolean;
  readonly at: number;
}

export type JournalRecord = Beginning | Commit;

export const MAGIC = Buffer.from('TDJ');
export const VERSION = 1;
export const HEAD_BYTES = 12;

export function encodeRecord(record: JournalRecord): Buffer {
  const payload = Buffer.from(JSON.stringify(record));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt8(VERSION, 3);
  head.writeUInt32LE(payload.length, 4);
  head.writeUInt32LE(checksum(head, payload), 8);
  return Buffer.concat([head, payload]);
}

/** Bytes that the records take. */
export function lengthOf(...records: readonly JournalRecord[]): number {
  return records.reduce((sum, record) => sum + encodeRecord(record).length, 0);
}

export interface JournalText {
  readonly begin: Beginning;
  /** The last one; `null` before the first. */
  readonly commit: Commit | null;
  /** Bytes of whole records; what follows them is torn and never counted. */
  readonly bytes: number;
}

export function checksum(head: Buffer, payload: Buffer): number {
  return crc32(payload, crc32(head.subarray(3, 8)));
}
