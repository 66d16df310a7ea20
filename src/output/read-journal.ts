/** Reads a journal's bytes and validates each record before it is used. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { DTYPES } from '../tensor.js';
import { ERRORS } from './errors-file.js';
import { checksum, HEAD_BYTES, type JournalRecord, type JournalText, MAGIC, VERSION } from './journal-record.js';

const COUNT = z.int().min(0);
const MARK = z.object({ bytes: COUNT, head: COUNT, crc: COUNT });
const RANGE = z.object({ from: COUNT, to: COUNT });
const PLAN = z.looseObject({
  stages: z
    .array(
      z.looseObject({
        device: z.string(),
        engine: z.string(),
        provider: z.string(),
        threads: COUNT,
        workers: COUNT,
        layers: RANGE,
        ops: RANGE,
      }),
    )
    .min(1),
  microBatch: z.int().min(1),
  depth: z.int().min(1),
  isolation: z.enum(['thread', 'process']),
});
const RECORD = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('begin'),
    fingerprint: z.record(z.string(), z.string()),
    request: z.unknown(),
    plan: PLAN,
    total: COUNT.nullable(),
    at: z.number(),
  }),
  z.object({
    kind: z.literal('commit'),
    rows: COUNT,
    failedRows: COUNT,
    // Earlier versions wrote neither field; every micro-batch except the last was full.
    nonFiniteRows: COUNT.default(0),
    microBatches: COUNT.optional(),
    // A manipulated journal must not cause writes to other files.
    files: z.record(z.union([z.literal(''), z.literal(ERRORS), z.string().regex(/^\.\d{1,6}$/)]), MARK),
    state: z.object({
      arrays: z.array(z.object({ name: z.string(), dtype: z.enum(DTYPES), rowShape: z.array(COUNT) })).optional(),
      members: z.array(z.object({ name: z.string(), size: COUNT, crc: COUNT, offset: COUNT })).optional(),
      names: z.array(z.string()).optional(),
      isWhole: z.boolean().optional(),
      moved: COUNT.optional(),
    }),
    sealed: z.boolean(),
    at: z.number(),
  }),
]);

/** Parses a whole journal; `path` is its name in messages. Throws TANDEM_JOURNAL_DAMAGED. */
export function readRecords(bytes: Buffer, path: string): JournalText {
  const records: JournalRecord[] = [];
  let at = 0;
  for (let payload = payloadAt(bytes, at); payload; payload = payloadAt(bytes, at)) {
    records.push(parseRecord(payload, path));
    at += HEAD_BYTES + payload.length;
  }
  for (let next = bytes.indexOf(MAGIC, at + 1); next > 0; next = bytes.indexOf(MAGIC, next + 1)) {
    if (payloadAt(bytes, next)) throw damaged(path, `its bytes from ${at} to ${next} are not a record`);
  }
  const [begin, ...rest] = records;
  if (begin?.kind !== 'begin') throw damaged(path, begin ? 'its begin record is missing' : whyNone(bytes));
  const commits = rest.filter((record) => record.kind === 'commit');
  if (commits.length < rest.length || commits.some(({ rows }, n) => n > 0 && rows < commits[n - 1]!.rows)) {
    throw damaged(path, 'its records are not in order');
  }
  const last = commits.at(-1);
  const commit = last
    ? { ...last, microBatches: last.microBatches ?? Math.ceil(last.rows / begin.plan.microBatch) }
    : null;
  return { begin, commit, bytes: at };
}

/** The payload of the record that starts at `at`, or `null` if there is no whole one. */
function payloadAt(bytes: Buffer, at: number): Buffer | null {
  const head = bytes.subarray(at, at + HEAD_BYTES);
  if (head.length < HEAD_BYTES || !head.subarray(0, 3).equals(MAGIC) || head[3] !== VERSION) return null;
  const end = at + HEAD_BYTES + head.readUInt32LE(4);
  if (end > bytes.length) return null;
  const payload = bytes.subarray(at + HEAD_BYTES, end);
  return checksum(head, payload) === head.readUInt32LE(8) ? payload : null;
}

function parseRecord(payload: Buffer, path: string): JournalRecord {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch {
    throw damaged(path, 'one of its records is not JSON');
  }
  const { data, error } = RECORD.safeParse(value);
  if (error)
    throw damaged(path, `one of its records does not have tandem's format: ${error.issues[0]!.path.join('.')}`);
  return data as unknown as JournalRecord;
}

function whyNone(bytes: Buffer): string {
  if (!bytes.subarray(0, 3).equals(MAGIC)) return 'it does not begin with a journal header';
  return bytes[3] === VERSION ? 'its begin record is damaged' : `another version of tandem wrote it (${bytes[3]})`;
}

function damaged(path: string, what: string): TandemError {
  return new TandemError('TANDEM_JOURNAL_DAMAGED', `the journal ${path} cannot be trusted: ${what}`, {
    remedy: 'put the file back as it was, or start over with --force-new',
  });
}
