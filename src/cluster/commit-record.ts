/** The commit of a shard: the record by which its rows count as done. The first one that is written for a shard wins. */
import { z } from 'zod';
import { type Damage, parseStored } from './parse-stored.js';

const COUNT = z.int().min(0);

const RECORD = z.strictObject({
  schema: z.literal(1),
  /** The id of the manifest. */
  job: z.string(),
  shard: COUNT,
  /** Names one try of the shard: no two tries have the same. */
  attempt: z.string().min(1),
  /** Of the shard's results, in hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: COUNT,
  rows: COUNT,
  failedRows: COUNT,
  /** Rows with NaN or an infinity in their results. */
  nonFiniteRows: COUNT,
  microBatches: COUNT,
  /** Rows that were not computed, since they end the process that does. */
  refused: z.array(COUNT).default([]),
  /** The key of the results in the store. */
  output: z.string().min(1),
  /** What each stage ran on, as the engine reports it, with its build. */
  devices: z.array(z.string()),
  host: z.string(),
  /** From the first row to the last. */
  seconds: z.number().min(0),
  loadSeconds: z.number().min(0),
  /** Milliseconds since 1970. */
  at: z.number(),
});

export type CommitRecord = z.infer<typeof RECORD>;

export const COMMITS = 'commit/';

export function commitKey(shard: number): string {
  return `${COMMITS}${shard}.json`;
}

/** The key of an attempt's results. */
export function partKey(shard: number, attempt: string): string {
  return `part/${shard}.${attempt}`;
}

export function commitBytes(record: CommitRecord): Uint8Array {
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

const NO_COMMIT: Damage = { what: 'is not the commit of a shard', remedy: 'remove it, and run the shard again' };

/** Throws TANDEM_SHARDS_DAMAGED. */
export function parseCommit(bytes: Uint8Array, where: string): CommitRecord {
  return parseStored(RECORD, bytes, where, NO_COMMIT);
}
