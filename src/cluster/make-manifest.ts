/** Makes the manifest of a job: identifies the model and the input, settles the micro-batch, counts the rows once, and divides them into shards. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { isAddress } from '../engine/own-engine.js';
import { TandemError } from '../errors.js';
import { grouped } from '../grouped-digits.js';
import { divisionOf, type IdentifiedJob, identifyJob } from '../job/identify-job.js';
import type { RunListener } from '../job/run-listener.js';
import type { RunRequest } from '../job/run-request.js';
import { identify } from '../model/file-identity.js';
import { PLANNED_HERE } from '../output/fingerprint.js';
import { isFileARow, STANDARD_STREAM } from '../rows/format.js';
import { formatOf, outputFormatOf } from '../rows/format-of-path.js';
import { filesOf, fromAnywhere } from '../rows/input-files.js';
import { countRows } from './count-rows.js';
import { type Manifest, sealManifest } from './manifest.js';
import { shardRanges } from './shard-ranges.js';

/** More would be more commits to list than a merge should wait for. */
export const MOST_SHARDS = 100_000;

/** Files looked at together. */
const AT_ONCE = 64;

export interface ManifestOptions {
  readonly shards: number;
  /** Paths are confined to this folder. */
  readonly root?: string;
}

/**
 * Throws TANDEM_SHARDS_UNSUPPORTED for a job whose shards could not give the bytes of one machine, TANDEM_USAGE, and what a run throws before
 * its first row.
 */
export async function makeManifest(
  request: RunRequest,
  { shards, root }: ManifestOptions,
  listener: RunListener = {},
): Promise<Manifest> {
  if (!Number.isInteger(shards) || shards < 1 || shards > MOST_SHARDS) {
    throw new TandemError('TANDEM_USAGE', `${shards} is no number of shards`, {
      remedy: `give a whole number from 1 to ${grouped(MOST_SHARDS)}`,
    });
  }
  refuseOptions(request);
  const asked = absoluteRequest(request);
  const job = await identifyJob(asked);
  const formats = formatsOf(job, asked);
  refuseInput(job, formats.input);
  const { division, rows } = await divisionOf(job, asked, listener);
  // As every machine is to run it.
  const settled: RunRequest = division.lengths ? asked : { ...asked, microBatch: division.microBatch };
  const unit = division.lengths?.window ?? division.microBatch;
  const counted = await countRows(filesOf(job.rows.input), formats.input, { rows, unit });
  const { fingerprint } = settled === asked ? job : await identifyJob(settled);
  if (fingerprint === null) throw readOnce();
  const [path] = job.graph.files;
  return sealManifest({
    fingerprint,
    model: { path: resolve(path!), hash: fingerprint.model! },
    request: settled,
    inputs: await inputsOf(filesOf(job.rows.input), formats.input),
    rows: counted.rows,
    division: division as Manifest['division'],
    shards: shardRanges({ rows: counted.rows, unit, shards, places: counted.places }),
    output: { path: asked.output, format: formats.output },
    ...(root === undefined ? {} : { root: resolve(root) }),
  });
}

/** The request as any folder can run it, without what is of one process only. */
export function absoluteRequest(request: RunRequest): RunRequest {
  const { quiet, json, force, forceNew, allowErrors, maxErrors, metricsPort, metricsHost, ...kept } =
    request as RunRequest & { quiet?: boolean; json?: boolean };
  const { plan = 'auto', set, input } = kept;
  // Rows that are files have their paths as ids: those that were given as relative ones are relative to this folder everywhere.
  const isRelative = !input.some((text) => isAbsolute(text));
  return {
    ...kept,
    ...(PLANNED_HERE.has(plan) ? {} : { plan: resolve(plan) }),
    ...(set ? { set: fromAnywhere(set) } : {}),
    model: resolve(kept.model),
    input: input.map(absoluteInput),
    output: resolve(kept.output),
    outputFormat: outputFormatOf(kept.output, kept.outputFormat),
    ...(isRelative ? { idsFrom: kept.idsFrom ?? process.cwd() } : {}),
  };
}

/** A path, a pattern, or `NAME=FILE`. */
function absoluteInput(text: string): string {
  const at = text.indexOf('=');
  if (at <= 0 || existsSync(text)) return resolve(text);
  return `${text.slice(0, at)}=${resolve(text.slice(at + 1))}`;
}

function formatsOf({ rows }: IdentifiedJob, { inputFormat, output, outputFormat }: RunRequest) {
  const [first] = filesOf(rows.input);
  return {
    input: rows.input instanceof Map ? ('npy' as const) : formatOf(first!, inputFormat),
    output: outputFormatOf(output, outputFormat),
  };
}

/** Throws TANDEM_SHARDS_UNSUPPORTED. */
function refuseOptions(request: RunRequest): void {
  const refuse = (what: string, remedy: string) => {
    throw new TandemError('TANDEM_SHARDS_UNSUPPORTED', `a job in shards ${what}`, { remedy });
  };
  if (request.output === STANDARD_STREAM)
    refuse('cannot write to stdout: its shards end in any order', 'name an output file');
  if (request.input.includes(STANDARD_STREAM))
    refuse('cannot read stdin, which only one machine has', 'write the rows to a file first');
  if (request.carry !== undefined)
    refuse('cannot carry state from one row to the next', 'run it whole: leave --shard out');
  if (request.maxErrors !== undefined)
    refuse(
      'has no --max-errors: it counts the rows of the whole job, and a shard knows only its own',
      'leave --max-errors out',
    );
  for (const name of ['report', 'trace', 'record'] as const) {
    if (request[name] !== undefined)
      refuse(`has no --${name}: every shard would write the same file`, `leave --${name} out`);
  }
  if (request.engine !== undefined && isAddress(String(request.engine)))
    refuse(
      'cannot take a module as its engine: other machines import none that a file names',
      'name an engine of the list',
    );
}

function refuseInput({ rows, fingerprint }: IdentifiedJob, format: string): void {
  if (fingerprint === null) throw readOnce();
  if (format !== 'wav') return;
  throw new TandemError(
    'TANDEM_SHARDS_UNSUPPORTED',
    `${filesOf(rows.input)[0]} is sound, whose windows are run as several streams at once`,
    {
      remedy: 'run it whole: leave --shard out, or start one job for each folder of files',
    },
  );
}

function readOnce(): TandemError {
  return new TandemError(
    'TANDEM_SHARDS_UNSUPPORTED',
    'a job in shards reads its input on many machines, and a pipe can be read only once',
    {
      remedy: 'write the rows to a file first',
    },
  );
}

/** Files that are rows are not read for it: their sizes and times of change are together one digest. */
async function inputsOf(
  paths: readonly string[],
  format: Parameters<typeof isFileARow>[0],
): Promise<Manifest['inputs']> {
  if (!isFileARow(format)) {
    return Promise.all(
      paths.map(async (path) => ({
        path: resolve(path),
        bytes: (await stat(path)).size,
        digest: await identify(path),
      })),
    );
  }
  const hash = createHash('sha256');
  let bytes = 0;
  for (let n = 0; n < paths.length; n += AT_ONCE) {
    const some = paths.slice(n, n + AT_ONCE);
    for (const [k, { size, mtimeMs }] of (await Promise.all(some.map((path) => stat(path)))).entries()) {
      bytes += size;
      hash.update(JSON.stringify([some[k], size, Math.trunc(mtimeMs)]));
    }
  }
  return [
    { path: resolve(paths[0]!), bytes, digest: `${paths.length} files, sha256 ${hash.digest('hex').slice(0, 16)}` },
  ];
}
