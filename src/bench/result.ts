/** The result of a bench as JSON: it is written, printed, and read back to compare. Bytes and seconds; shares are 0 … 1. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { MACHINE } from '../machine/schema.js';
import { readTextFile } from '../text-file.js';

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
  /** Of the stage's own process; null if it has none. */
  peakRssBytes: bytes.nullable(),
  /** Live bytes across the cut before it, for one micro-batch; 0 for the first stage. */
  liveBytes: bytes,
  /** Between "ready, and a worker free" and "accepted"; 0 for the first stage. */
  hopSeconds: seconds,
});

const CASE = z.object({
  name: z.string(),
  /** `again` is the first case measured a second time in every round: the difference is noise. */
  kind: z.enum(['whole', 'sequential', 'pipelined', 'again']),
  /** As typed: `--stage … --micro-batch … --depth …`. */
  flags: z.string(),
  microBatch: z.number(),
  depth: z.number(),
  isolation: z.enum(['thread', 'process']),
  rows: z.number(),
  rowsPerSecond: z.number(),
  /** Half the width of the 95 % confidence interval of the median, as a share of it. */
  spread: share,
  /** Rows a second over the first case's in the same round: the median of the rounds, and its confidence interval. */
  toFirst: z.object({ median: z.number(), low: z.number(), high: z.number() }),
  /** Rows a second of each repetition. */
  repetitions: z.array(z.number()),
  loadSeconds: seconds,
  stages: z.array(STAGE),
  /** The run's ideal time by the stages' own times, over the measured time. */
  efficiency: share,
  bubble: z.object({ predicted: share, measured: share }),
  /** Processor time of the coordinator's thread for each stage that a micro-batch goes through: the mean, all included. */
  coordinatorSeconds: seconds,
  /** The same at the median of the micro-batches, without copying rows in. */
  coordinatorOwnSeconds: seconds,
  /** Copying the rows of one micro-batch in. */
  copySeconds: seconds,
  arenaBytes: bytes,
  weightBytes: bytes,
  /** Of all processes of the case except the coordinator's; null if the stages are threads. */
  peakRssBytes: bytes.nullable(),
});

/** The gain by overlap: the pipelined split against the same slices run sequentially. */
const OVERLAP = z.object({
  sequential: z.string(),
  pipelined: z.string(),
  /** Measured: rows a second of the one over the other in the same round. */
  speedUp: z.number(),
  /** All stages' time over the slowest one's (two stages: 1 + min/max), by the times of the sequential split; for a job without end. */
  limit: z.number(),
  /** The limit for the number of rows that were run, with filling and emptying. */
  idealSpeedUp: z.number(),
  /** Contention: the stages' time when both compute, over their time alone. */
  contention: z.number(),
});

const POINT = z.object({
  layout: z.string(),
  microBatch: z.number(),
  depth: z.number(),
  rowsPerSecond: z.number(),
});

/** The plan for this budget of the first stage, and its rate. */
const BUDGET_POINT = z.object({
  layout: z.string(),
  memoryBytes: bytes,
  /** Of the first stage. */
  layers: z.object({ from: z.number(), to: z.number() }),
  microBatch: z.number(),
  depth: z.number(),
  rowsPerSecond: z.number(),
  /** The plan's memory requirement and the process's peak memory; null if the stage is a thread. */
  promisedBytes: bytes.nullable().default(null),
  heldBytes: bytes.nullable().default(null),
});

const HELP = z.object({
  /** The change. */
  change: z.string(),
  /** Rows a second with the change over rows a second now. */
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
    /** As in the summary of a run: whether a row's answer is the same whatever rows are in its micro-batch. */
    batchInvariant: z.boolean().nullable().optional(),
    /** The model's fixed number of rows, or null. */
    fixedBatch: z.number().nullable().optional(),
  }),
  seconds: z.object({ asked: seconds, took: seconds }),
  /** The first is the baseline. */
  cases: z.array(CASE),
  overlap: OVERLAP.nullable(),
  sweep: z.object({ microBatch: z.array(POINT), depth: z.array(POINT), budget: z.array(BUDGET_POINT) }),
  /** Layouts that were not measured, and why. */
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  verdict: z.object({
    best: z.string(),
    /** Cases that are not distinguishable from the best by these repetitions. */
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
    text = readTextFile(path);
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
    remedy: 'make one with: tandem bench MODEL --output old.json',
    cause,
  });
}
