/** A job's fingerprint: everything that its bytes depend on, by name, so that two runs can be told apart and the difference named. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { engineBuild } from '../engine/build.js';
import { TandemError } from '../errors.js';
import { identify } from '../model/file-identity.js';
import type { ModelGraph } from '../model/graph.js';
import { VERSION } from '../package.js';
import type { Plan, StageOptions } from '../plan/plan.js';
import type { Loaded } from '../pool/protocol.js';
import { formatOf, STANDARD_STREAM } from './format.js';
import { openInput } from './input-file.js';
import type { SourceInput } from './open-source.js';

/** Each as a person would compare it. */
export type Fingerprint = Readonly<Record<string, string>>;

/** What the bytes depend on as far as it is known before anything is planned or loaded. */
export interface Identified {
  readonly graph: ModelGraph;
  readonly input: SourceInput;
  readonly inputFormat?: string;
  readonly output: string;
  readonly outputFormat?: string;
  /** What was asked of the plan; what is left open is taken from the first run. */
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  /** `auto`, `quick`, or a file. */
  readonly plan?: string;
}

/** Words in the place of a plan's file. */
export const PLANNED_HERE: ReadonlySet<string> = new Set(['auto', 'quick']);

/** Names that a later run may leave open. */
const OPEN = new Set(['plan', 'stages', 'micro-batch', 'devices']);

/**
 * The fingerprint of a job before it is planned; `null` for a job whose rows can be read only once, from a pipe.
 * Throws TANDEM_INPUT_MISSING.
 */
export async function fingerprintOf(job: Identified): Promise<Fingerprint | null> {
  const { graph, input, output } = job;
  const inputs = typeof input === 'string' ? new Map([['', input]]) : input;
  const [anInput] = inputs.values();
  const fields: Record<string, string> = {
    'input format': formatOf(anInput!, job.inputFormat),
    'output format': formatOf(output, job.outputFormat),
    tandem: VERSION,
    node: process.version,
  };
  for (const [name, path] of inputs) {
    const identity = await inputIdentity(path);
    if (identity === null) return null;
    fields[name === '' ? 'input' : `input ${name}`] = identity;
  }
  for (const [n, path] of graph.files.entries()) fields[n === 0 ? 'model' : `weights file ${n}`] = await identify(path);
  if (job.stages?.length) fields.stages = JSON.stringify(job.stages);
  if (job.plan !== undefined && !PLANNED_HERE.has(job.plan)) {
    fields.plan = await identify(job.plan).catch(() => 'missing');
  }
  if (job.microBatch !== undefined) fields['micro-batch'] = String(job.microBatch);
  return fields;
}

/** The same, once the stages are loaded and have told what really computes. */
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

/** Throws TANDEM_JOURNAL_MISMATCH, with the names that differ, unless a job begun as `before` can be gone on with as `now`. */
export function checkSame(output: string, before: Fingerprint, now: Fingerprint | null): void {
  if (now === null) {
    throw mismatch(output, 'from a file, and rows from a pipe can be read only once', 'run the first command again');
  }
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const differing = names.filter((name) => before[name] !== now[name] && (name in now || !OPEN.has(name)));
  if (differing.length === 0) return;
  const told = differing.map((name) => `${name}: ${before[name] ?? 'none'} then, ${now[name] ?? 'none'} now`);
  const it = differing.length > 1 ? 'them' : 'it';
  throw mismatch(output, `with another ${differing.join(' and ')} (${told.join('; ')})`, `put ${it} back to go on`);
}

function mismatch(output: string, how: string, goOn: string): TandemError {
  return new TandemError('TANDEM_JOURNAL_MISMATCH', `the unfinished output ${output} was begun ${how}`, {
    remedy: `${goOn}, or start over with --force-new`,
  });
}

async function inputIdentity(path: string): Promise<string | null> {
  if (path === STANDARD_STREAM) return null;
  const found = await stat(path).catch(() => null);
  // To open a pipe and close it again would take it away from whoever reads its rows.
  if (found && !found.isFile()) return null;
  const { handle } = await openInput(path);
  await handle.close();
  return identify(resolve(path));
}
