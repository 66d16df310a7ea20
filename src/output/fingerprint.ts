/** A job's fingerprint: everything that its output bytes depend on, by name, so that a message can name the difference between two runs. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineBuild } from '../engine/choose.js';
import { isAddress } from '../engine/own-engine.js';
import { TandemError } from '../errors.js';
import { identify } from '../model/file-identity.js';
import type { ModelGraph } from '../model/graph.js';
import { VERSION } from '../package.js';
import type { Plan } from '../plan/plan.js';
import type { StageOptions } from '../plan/stage-options.js';
import type { Loaded } from '../pool/protocol.js';
import { STANDARD_STREAM } from '../rows/format.js';
import { formatOf, outputFormatOf } from '../rows/format-of-path.js';
import { openInput } from '../rows/input-file.js';
import { filesOf } from '../rows/input-files.js';
import type { SourceInput } from '../rows/open-source.js';
import { bytesOf, formatSpec, type Tensor } from '../tensor.js';

/** Values in a readable form, by name. */
export type Fingerprint = Readonly<Record<string, string>>;

/** The facts that the output bytes depend on, before anything is planned or loaded. */
export interface Identified {
  readonly graph: ModelGraph;
  readonly input: SourceInput;
  readonly inputFormat?: string;
  /** Of the rows besides the input's bytes, by name; `input` instead of them. */
  readonly rows?: Readonly<Record<string, string>>;
  readonly output: string;
  readonly outputFormat?: string;
  /** Requested properties of the plan; the others are taken from the first run. */
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly allowNonFinite?: boolean;
  /** Columns of the input that are kept, where they are named. */
  readonly keep?: readonly string[];
  /** The engine that a program asked for. It is the first of the graph's engines. */
  readonly engine?: string | URL;
  /** `auto`, `quick`, or the path of a plan file. */
  readonly plan?: string;
}

/** Values of `plan` that are not paths. */
export const PLANNED_HERE: ReadonlySet<string> = new Set(['auto', 'quick']);

/** Names that a later run may leave open. */
const OPEN = new Set(['plan', 'stages', 'micro-batch', 'devices']);

/**
 * The fingerprint of a job before it is planned; `null` for a job whose rows can be read only once, from a pipe.
 * Throws TANDEM_INPUT_MISSING.
 */
export async function fingerprintOf(job: Identified): Promise<Fingerprint | null> {
  const { graph, input, output } = job;
  const files = filesOf(input);
  const fields: Record<string, string> = {
    'input format': formatOf(files[0]!, job.inputFormat),
    'output format': outputFormatOf(output, job.outputFormat),
    tandem: VERSION,
    // Only the major version counts, because it brings another V8. Minor versions changed no byte in Node 20 to 26.
    node: process.versions.node.split('.')[0]!,
  };
  const names = input instanceof Map ? [...input.keys()].map((name) => `input ${name}`) : null;
  const identities: string[] = [];
  for (const [n, path] of job.rows?.input === undefined ? files.entries() : []) {
    const identity = await inputIdentity(path);
    if (identity === null) return null;
    if (names) fields[names[n]!] = identity;
    else identities.push(identity);
  }
  if (job.engine !== undefined) fields.engine = await engineIdentity(graph.engines![0]!);
  if (job.rows?.input === undefined && !names)
    fields.input = identities.length === 1 ? identities[0]! : togetherIdentity(identities);
  Object.assign(fields, job.rows);
  for (const [n, path] of graph.files.entries()) fields[n === 0 ? 'model' : `weights file ${n}`] = await identify(path);
  for (const [name, rows] of graph.inputRows ?? []) {
    if (rows.value) fields[`set ${name}`] = valueIdentity(rows.value);
    else if (rows.axis !== 0) fields[`rows-axis ${name}`] = String(rows.axis);
  }
  if (job.stages?.length) fields.stages = JSON.stringify(job.stages);
  if (job.plan !== undefined && !PLANNED_HERE.has(job.plan)) {
    fields.plan = await identify(job.plan).catch(() => 'missing');
  }
  if (job.keep) fields['kept columns'] = job.keep.join(',') || 'none';
  if (job.allowNonFinite) fields['rows with NaN or infinities'] = 'allowed';
  if (job.microBatch !== undefined) fields['micro-batch'] = String(job.microBatch);
  return fields;
}

/** The complete fingerprint after loading, with the devices that the stages report. */
export function fingerprintLoaded(fingerprint: Fingerprint, plan: Plan, loaded: readonly Loaded[]): Fingerprint {
  const devices = loaded.map(({ ranOn, deviceName }, j) => {
    const { engine, provider } = plan.stages[j]!;
    return `${ranOn} (${deviceName}, ${engineBuild(engine, provider)})`;
  });
  return {
    ...{ stages: 'left to tandem', plan: 'none' },
    ...fingerprint,
    'micro-batch': String(plan.microBatch),
    devices: devices.join(', '),
  };
}

/** Throws TANDEM_JOURNAL_MISMATCH, with the names that differ, unless a job with the fingerprint `before` can be resumed with `now`. */
export function checkSame(output: string, before: Fingerprint, now: Fingerprint | null): void {
  if (now === null) {
    throw mismatch(output, 'from a file, and rows from a pipe can be read only once', 'run the first command again');
  }
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const differing = names.filter((name) => before[name] !== now[name] && (name in now || !OPEN.has(name)));
  if (differing.length === 0) return;
  const differences = differing.map((name) => `${name}: ${before[name] ?? 'none'} then, ${now[name] ?? 'none'} now`);
  const it = differing.length > 1 ? 'them' : 'it';
  throw mismatch(
    output,
    `with another ${differing.join(' and ')} (${differences.join('; ')})`,
    `put ${it} back to resume`,
  );
}

function mismatch(output: string, how: string, remedy: string): TandemError {
  return new TandemError('TANDEM_JOURNAL_MISMATCH', `the unfinished output ${output} was started ${how}`, {
    remedy: `${remedy}, or start over with --force-new`,
  });
}

/** Of the user's own engine the address and the contents of its module; else the id. */
async function engineIdentity(id: string): Promise<string> {
  return isAddress(id) ? `${id}, ${await identify(fileURLToPath(id)).catch(() => 'missing')}` : id;
}

/** A short value in full, a long value as its hash. */
function valueIdentity({ dtype, shape, data }: Tensor): string {
  const what = formatSpec({ dtype, shape });
  if (data.length <= SHOWN) return `${what} ${Array.from(data as Float32Array, String).join(',')}`;
  return `${what}, sha256 ${createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 16)}`;
}

/** Elements of a value that is written in full, at most. */
const SHOWN = 8;

/** Of several files, in their order. */
function togetherIdentity(identities: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(identities)).digest('hex');
  return `${identities.length} files, sha256 ${hash.slice(0, 16)}`;
}

async function inputIdentity(path: string): Promise<string | null> {
  if (path === STANDARD_STREAM) return null;
  const found = await stat(path).catch(() => null);
  // Opening and closing a pipe would break it for the reader of the rows.
  if (found && !found.isFile()) return null;
  const { handle } = await openInput(path);
  await handle.close();
  return identify(resolve(path));
}
