/**
 * The journal's records and their encoding: one begin record, then commits.
 *
 *   record   "TDJ" version(u8) length(u32) crc(u32) payload
 *            little-endian; `length` is of the payload, `crc` is CRC-32 of version, length and payload; the payload is JSON
 *
 * Each record is on the disk before the next one is written, so a crash can tear only the last record. Repair follows from this:
 * a torn record at the end is dropped; damage before a complete record is refused.
 */
import { crc32 } from '../crc32.js';
import type { Plan } from '../plan/plan.js';
import type { Marks } from './files.js';
import type { Earlier } from './rows-writer.js';

/** Describes the job. Written once, before the first row. */
export interface BeginRecord {
  readonly kind: 'begin';
  /** Everything that the output bytes depend on. A resumed run must have the same fingerprint. */
  readonly fingerprint: Readonly<Record<string, string>>;
  /** The request of the run, so that it can be repeated. Only the writer interprets it. */
  readonly request: unknown;
  readonly plan: Plan;
  /** Number of input rows, or `null` if it is not known before reading. */
  readonly total: number | null;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The progress of a job. Everything that it records was synced to the disk before it was written. */
export interface Commit extends Earlier {
  readonly kind: 'commit';
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** Number of micro-batches with good rows, which is the number of the next one. */
  readonly microBatches: number;
  readonly files: Marks;
  /** Whether the files are complete and only need to be renamed. */
  readonly sealed: boolean;
  readonly at: number;
}

export type JournalRecord = BeginRecord | Commit;

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

/** Encoded size of the records in bytes. */
export function lengthOf(...records: readonly JournalRecord[]): number {
  return records.reduce((sum, record) => sum + encodeRecord(record).length, 0);
}

export interface JournalText {
  readonly begin: BeginRecord;
  /** The last commit; `null` before the first. */
  readonly commit: Commit | null;
  /** Total size of the complete records in bytes; a torn record may follow. */
  readonly bytes: number;
}

export function checksum(head: Buffer, payload: Buffer): number {
  return crc32(payload, crc32(head.subarray(3, 8)));
}
