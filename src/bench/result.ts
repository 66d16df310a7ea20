/** What a bench found, as data: the JSON that it writes, reads back to compare, and prints from. Bytes and seconds; shares are 0 … 1. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { MACHINE } from '../plan/machine-schema.js';

const share = z.number();
const seconds = z.number();
const bytes = z.number();

const STAGE = z.object({
  device: z.string(),
  provider: z.string(),
  ranOn: z.string(),
  layers: z.object({ from: z.number(), to: z.number() }),
  threads: z.number(),
  workers: z.number(),
  /** Of one micro-batch. */
  seconds,
  utilisation: share,
  weightBytes: bytes,
  /** Of the stage's own process; null where it has none. */
  peakRssBytes: bytes.nullable(),
  /** What lives across the cut before it, for one micro-batch; 0 for the first stage. */
  liveBytes: bytes,
  /** Between "ready, and a worker free" and "accepted"; 0 for the first stage. */
  hopSeconds: seconds,
});

const CASE = z.object({
  name: z.string(),
  /** `again` is the first case measured a second time in every round: what it differs by is noise. */
  kind: z.enum(['whole', 'sequential', 'pipelined', 'again']),
  /** As typed: `--stage … --micro-batch … --depth …`. */
  flags: z.string(),
  microBatch: z.number(),
  depth: z.number(),
  isolation: z.enum(['thread', 'process']),
  rows: z.number(),
  rowsPerSecond: z.number(),
  /** How far from the median the true one may lie, in 95 cases of 100. */
  spread: share,
  /** Rows a second over the first case's in the same round: the median of the rounds, and the bounds of the true one. */
  toFirst: z.object({ median: z.number(), low: z.number(), high: z.number() }),
  /** Rows a second of each repetition. */
  repetitions: z.array(z.number()),
  loadSeconds: seconds,
  stages: z.array(STAGE),
  /** What the stages' own times would give if nothing else took time, over what was measured. */
  efficiency: share,
  bubble: z.object({ predicted: share, measured: share }),
  /** Processor time of the coordinator's thread for each stage that a micro-batch goes through: the mean, with all that there is. */
  coordinatorSeconds: seconds,
  /** The same at the median of the micro-batches, without copying rows in. */
  coordinatorOwnSeconds: seconds,
  /** Copying the rows of one micro-batch in. */
  copySeconds: seconds,
  arenaBytes: bytes,
  weightBytes: bytes,
  /** Of all processes of the case, the coordinator's apart; null where they are threads of it. */
  peakRssBytes: bytes.nullable(),
});

/** How much two stages gain by working at once: the pipelined split against the same slices one after another. */
const OVERLAP = z.object({
  sequential: z.string(),
  pipelined: z.string(),
  /** Measured: rows a second of the one over the other in the same round. */
  speedUp: z.number(),
  /** All stages' time over the slowest one's (two stages: 1 + min/max), by the times of the sequential split; without end of rows. */
  limit: z.number(),
  /** The limit for the rows that were run, filling and emptying included. */
  idealSpeedUp: z.number(),
  /** By how much the stages slow each other when both compute: their time side by side over their time alone. */
  contention: z.number(),
});

const POINT = z.object({
  layout: z.string(),
  microBatch: z.number(),
  depth: z.number(),
  rowsPerSecond: z.number(),
});

/** The plan that is made when the first stage may hold this much, and what it comes to. */
const BUDGET_POINT = z.object({
  layout: z.string(),
  memoryBytes: bytes,
  /** Of the first stage. */
  layers: z.object({ from: z.number(), to: z.number() }),
  microBatch: z.number(),
  depth: z.number(),
  rowsPerSecond: z.number(),
  /** What the plan promised that it holds at most, and what its process held; null where it is a thread among others. */
  promisedBytes: bytes.nullable().default(null),
  heldBytes: bytes.nullable().default(null),
});

const HELP = z.object({
  /** What would be changed. */
  change: z.string(),
  /** Rows a second then over rows a second now. */
  gain: z.number(),
  why: z.string(),
});

export const RESULT = z.object({
  schema: z.literal(1),
  kind: z.literal('tandem bench'),
  tandem: z.string(),
  date: z.string(),
  machine: MACHINE,
  model: z.object({
    path: z.string(),
    format: z.string(),
    engine: z.string(),
    layers: z.number(),
    weightBytes: bytes,
    inputs: z.array(z.object({ name: z.string(), dtype: z.string(), shape: z.array(z.number()) })),
  }),
  seconds: z.object({ asked: seconds, took: seconds }),
  /** The first is the baseline. */
  cases: z.array(CASE),
  overlap: OVERLAP.nullable(),
  sweep: z.object({ microBatch: z.array(POINT), depth: z.array(POINT), budget: z.array(BUDGET_POINT) }),
  /** What was not measured, and why. */
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  verdict: z.object({
    best: z.string(),
    /** Cases that may be as fast, for all that these repetitions tell. */
    alike: z.array(z.string()).default([]),
    flags: z.string(),
    speedUp: z.number(),
    helps: z.array(HELP),
  }),
});

export type BenchResult = z.infer<typeof RESULT>;
export type CaseResult = z.infer<typeof CASE>;
export type StageResult = z.infer<typeof STAGE>;
export type Overlap = z.infer<typeof OVERLAP>;
export type SweepPoint = z.infer<typeof POINT>;
export type BudgetPoint = z.infer<typeof BUDGET_POINT>;
export type Help = z.infer<typeof HELP>;

/** A result from its file. Throws TANDEM_USAGE. */
export function readResult(path: string): BenchResult {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, (cause as Error).message, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, (cause as Error).message, cause);
  }
  const { data, error } = RESULT.safeParse(value);
  if (error) throw unreadable(path, `${error.issues[0]!.path.join('.')}: ${error.issues[0]!.message}`, error);
  return data;
}

function unreadable(path: string, why: string, cause: unknown): TandemError {
  return new TandemError('TANDEM_USAGE', `${path} is no result of tandem bench: ${why}`, {
    remedy: 'write one with: tandem bench MODEL --output old.json',
    cause,
  });
}
