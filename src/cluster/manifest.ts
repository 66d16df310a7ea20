/** The manifest of a job that is split in shards: an immutable plan object, written once, by which any machine can run any shard. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import type { RunRequest } from '../job/run-request.js';
import { LENGTHS } from '../plan/plan-file.js';
import { FORMATS, OUTPUT_FORMATS } from '../rows/format.js';

const COUNT = z.int().min(0);
const PATH = z.string().min(1);
/** Where reading may begin: a byte of a file of the input, by its place in the list. */
const AT = z.strictObject({ file: COUNT, byte: COUNT, row: COUNT });

/** A range of rows. `at` is a place at or before its first row, and `at.row` the row that begins there. */
const SHARD = z.strictObject({
  index: COUNT,
  firstRow: COUNT,
  rows: z.int().min(1),
  at: AT.optional(),
});

/** How rows become micro-batches: the same on every machine, so that a row has the same neighbours everywhere. */
const DIVISION = z.strictObject({
  microBatch: z.int().min(1),
  /** For rows that differ in length. */
  lengths: LENGTHS.nullable(),
});

/** The job's options as `tandem run`, `embed`, `classify` or `rerank` take them. Nothing in it is secret. */
const REQUEST = z.looseObject({
  model: PATH,
  input: z.array(PATH).min(1),
  output: PATH,
  deadline: z.number().positive(),
  inputFormat: z.enum(FORMATS).optional(),
  outputFormat: z.enum(OUTPUT_FORMATS).optional(),
  task: z.looseObject({ name: z.enum(['embed', 'classify', 'rerank']) }).optional(),
});

const MANIFEST = z.strictObject({
  schema: z.literal(1),
  /** sha256 of all the rest, in hex. */
  id: z.string().regex(/^[0-9a-f]{64}$/),
  /** All that the output's bytes depend on, by name, as in a journal; a machine where any of it differs cannot run a shard. */
  fingerprint: z.record(z.string(), z.string()),
  model: z.strictObject({ path: PATH, hash: z.string() }),
  request: REQUEST,
  /** The files, in their order. Large ones are identified by samples, and by the time of their last change. */
  inputs: z.array(z.strictObject({ path: PATH, bytes: COUNT, digest: z.string() })).min(1),
  /** Rows of the input. */
  rows: z.int().min(1),
  division: DIVISION,
  shards: z.array(SHARD).min(1),
  output: z.strictObject({ path: PATH, format: z.enum(OUTPUT_FORMATS) }),
  /** Paths are confined to this folder, if there is one. */
  root: PATH.optional(),
});

export type Manifest = Omit<z.infer<typeof MANIFEST>, 'request'> & { readonly request: RunRequest };
export type Shard = z.infer<typeof SHARD>;
export type ReadingPlace = z.infer<typeof AT>;
export type Division = z.infer<typeof DIVISION>;

/** The key of the manifest in its store. */
export const MANIFEST_KEY = 'manifest.json';

/** Adds the id. */
export function sealManifest(rest: Omit<Manifest, 'id' | 'schema'>): Manifest {
  const unsealed = { schema: 1 as const, ...rest };
  // As it is read back: properties that are undefined are gone.
  const plain = JSON.parse(JSON.stringify(unsealed)) as typeof unsealed;
  return { ...plain, id: idOf(plain) };
}

export function manifestBytes(manifest: Manifest): Uint8Array {
  return Buffer.from(`${JSON.stringify(manifest)}\n`);
}

/** Throws TANDEM_SHARDS_DAMAGED for what is no manifest, or one that was changed. */
export function parseManifest(bytes: Uint8Array, where: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw damaged(where, 'is not JSON');
  }
  const { data, error } = MANIFEST.safeParse(value);
  if (error) throw damaged(where, z.prettifyError(error).split('\n')[0]!);
  const { id, ...rest } = data;
  if (id !== idOf(rest)) throw damaged(where, 'was changed after it was written');
  checkRanges(data, where);
  return data as Manifest;
}

/** The shards are all the rows, in order. */
function checkRanges({ shards, rows }: Pick<Manifest, 'shards' | 'rows'>, where: string): void {
  let next = 0;
  for (const [n, { index, firstRow, rows: count }] of shards.entries()) {
    if (index !== n || firstRow !== next)
      throw damaged(where, `shard ${n} does not begin where the one before it ends`);
    next += count;
  }
  if (next !== rows) throw damaged(where, `its shards have ${next} rows, and the input has ${rows}`);
}

/** By the properties in the order of their names, at any depth. */
function idOf(rest: object): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(rest)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted((value as Record<string, unknown>)[name])]));
}

function damaged(where: string, what: string): TandemError {
  return new TandemError('TANDEM_SHARDS_DAMAGED', `${where} is not the manifest of a job in shards: it ${what}`, {
    remedy: 'remove the folder of the shards, and start the job again',
  });
}
