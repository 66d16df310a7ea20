/** The record: all data of a report as plain JSON, which can be stored and shown again. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { MACHINE } from '../machine/schema.js';

const COUNT = z.number().int().min(0);
const AMOUNT = z.number().min(0);
const TEXT = z.string().max(100_000);
const NAME = z.string().max(1000);

/** The summary fields that a report shows; a record may have more. */
const SUMMARY = z.object({
  rows: COUNT,
  /** Rows that earlier runs computed. */
  rowsBefore: COUNT.optional(),
  failedRows: COUNT,
  seconds: AMOUNT,
  loadSeconds: AMOUNT,
  rowsPerSecond: AMOUNT,
  microBatches: COUNT,
  microBatchRows: COUNT,
  /** Whether a row's answer is independent of the other rows of its micro-batch; `null` if it was not tested or could not be tested. */
  batchInvariant: z.boolean().nullish(),
  depth: COUNT,
  isolation: NAME,
  engine: NAME,
  cutBy: NAME,
  bubble: z.object({ predicted: z.number(), measured: z.number() }),
  predicted: z.object({ rowsPerSecond: AMOUNT }),
  /** The plan's estimate, if the plan was measured. */
  planned: z.object({ rowsPerSecond: AMOUNT, bubble: z.number() }).nullish(),
  arenaBytes: AMOUNT,
  peakRssBytes: AMOUNT,
  stopped: z.boolean(),
  stages: z
    .array(
      z.object({
        stage: COUNT,
        /** Whether the stage is a replica of the stage before it; `turns` is its share of each round of micro-batches. */
        beside: z.boolean().optional(),
        turns: COUNT.optional(),
        device: NAME,
        provider: NAME,
        ranOn: NAME,
        deviceName: NAME,
        layers: z.object({ from: COUNT, to: COUNT, of: COUNT }),
        threads: COUNT,
        workers: COUNT,
        busySeconds: AMOUNT,
        waitSeconds: AMOUNT,
        utilisation: AMOUNT,
        peakRssBytes: AMOUNT.nullable(),
        loads: COUNT.optional(),
        loadingSeconds: AMOUNT.optional(),
        loadedBytes: AMOUNT.optional(),
        weightBytes: AMOUNT,
      }),
    )
    .min(1)
    .max(1000),
});

/** Facts about a stage from the plan. */
const STAGE_PLAN = z.object({
  firstLayer: NAME,
  lastLayer: NAME,
  /** Memory budget of the stage in bytes; `null` without a budget. */
  budgetBytes: AMOUNT.nullable(),
  /** Bytes of one micro-batch that live across the cut before the stage; for the first, the model's inputs. */
  liveBytes: AMOUNT,
});

const MICROS = z.array(AMOUNT).max(1_000_000);

/** Spans as columns of equal length; times in microseconds since the start of the run. */
const SPANS = z.object({
  /** Index into `lanes`. */
  lane: MICROS,
  microBatch: MICROS,
  rows: MICROS,
  readyAt: MICROS,
  /** When the slice began to be loaded; `acceptedAt` if it was loaded. Left out if no stage rotates. */
  loadedFrom: MICROS.optional(),
  acceptedAt: MICROS,
  finishedAt: MICROS,
});

/** The threads that prepared rows ahead of the stages. Times in microseconds since the start of the run. */
const PREPARING = z.object({
  what: NAME,
  threads: COUNT,
  /** Prepared while the run lasted, and before it, for its plan. */
  rows: COUNT,
  rowsBefore: COUNT,
  busySeconds: AMOUNT,
  /** The newest calls, as columns of equal length; `lane` numbers the threads. */
  spans: z.object({ lane: MICROS, rows: MICROS, startedAt: MICROS, finishedAt: MICROS }),
});

const RUN = z.object({
  summary: SUMMARY,
  stages: z.array(STAGE_PLAN),
  timeline: z.object({
    lanes: z.array(z.object({ stage: COUNT, worker: COUNT })).max(10_000),
    /** Number of spans of the whole run. Those that are not in `spans` are included only in `pace`. */
    recorded: COUNT,
    spans: SPANS,
  }),
  preparing: PREPARING.nullish(),
  pace: z.object({
    intervalSeconds: z.number().positive(),
    /** Rows that left the last stage in each interval. */
    rows: MICROS,
    /** By lane and interval. */
    busySeconds: z.array(MICROS),
  }),
  errors: z
    .array(
      z.object({
        code: NAME,
        count: COUNT,
        /** The first failed rows. */
        examples: z.array(z.object({ index: COUNT, id: z.union([z.string(), z.number()]), message: TEXT })).max(100),
      }),
    )
    .max(1000),
});

/** A comparison of figures, shown as bars with their spread. */
const COMPARISON = z.object({
  title: NAME,
  /** Unit of the figures, `rows/s`. */
  unit: NAME,
  note: TEXT.optional(),
  cases: z
    .array(
      z.object({
        name: NAME,
        /** The median. */
        value: AMOUNT,
        /** Possible distance of the true value from `value`, as a fraction of `value`. */
        spread: AMOUNT.optional(),
        /** The best value that the case could reach. */
        ideal: AMOUNT.optional(),
        note: NAME.optional(),
        /** Whether the bar is drawn in colour. */
        emphasis: z.boolean().optional(),
      }),
    )
    .max(1000),
});

const RECORD = z.object({
  kind: z.literal('tandem-record'),
  schema: z.literal(1),
  title: NAME,
  /** ISO 8601. */
  createdAt: NAME,
  /** Version of tandem. */
  version: NAME,
  /** The arguments of the command line. */
  command: z.array(TEXT).max(10_000),
  machine: MACHINE,
  /** Sentences at the top of the page. Without them the page makes sentences from the figures of the run. */
  verdict: z.array(TEXT).max(100).optional(),
  /** Claims of a proof and what became of them. */
  claims: z
    .array(
      z.object({
        number: COUNT,
        claim: NAME,
        outcome: z.enum(['held', 'did not hold', 'not tried']),
        /** What was measured, or why it was not tried. */
        figures: TEXT,
        seconds: AMOUNT,
      }),
    )
    .max(100)
    .optional(),
  run: RUN.nullable(),
  comparisons: z.array(COMPARISON).max(100),
});

/** Read-only. */
type Fixed<T> = T extends readonly (infer E)[]
  ? readonly Fixed<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Fixed<T[K]> }
    : T;

export type RunRecord = Fixed<z.infer<typeof RECORD>>;
export type RunPart = Fixed<z.infer<typeof RUN>>;
export type Comparison = Fixed<z.infer<typeof COMPARISON>>;

/** The element of a report page that holds its record. */
export const RECORD_ELEMENT = 'record';

/** Reads a record, or the record inside a report page. Throws TANDEM_USAGE; `where` is the file's name in messages. */
export function readRecord(text: string, where: string): RunRecord {
  const inPage = new RegExp(`<script id="${RECORD_ELEMENT}" type="application/json">([^<]*)</script>`).exec(text);
  const { data, error } = RECORD.safeParse(parseJson(inPage?.[1] ?? text, where));
  if (error) {
    const { path, message } = error.issues[0]!;
    throw notARecord(where, `${path.join('.') || 'it'}: ${message}`);
  }
  const problem = data.run && unevenPart(data.run);
  if (problem) throw notARecord(where, problem);
  return data;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notARecord(where, (cause as Error).message);
  }
}

/** A problem with references inside the record, or `null`. */
function unevenPart({ summary, stages, timeline, pace, preparing }: RunPart): string | null {
  const { lanes, spans } = timeline;
  const length = spans.lane.length;
  if (stages.length !== summary.stages.length) return 'run.stages and run.summary.stages differ in length';
  if (Object.values(spans).some((column) => column.length !== length)) return 'run.timeline.spans differ in length';
  if (spans.lane.some((lane) => lanes[lane] === undefined)) return 'run.timeline.spans name a missing lane';
  const prepared = preparing ? Object.values(preparing.spans) : [];
  if (prepared.some((column) => column.length !== prepared[0]!.length)) return 'run.preparing.spans differ in length';
  if (lanes.some(({ stage }) => stage >= stages.length)) return 'run.timeline.lanes name a missing stage';
  if (pace.busySeconds.length !== lanes.length) return 'run.pace.busySeconds must have one row for each lane';
  if (pace.busySeconds.some((row) => row.length !== pace.rows.length)) return 'run.pace has rows of different length';
  return null;
}

function notARecord(where: string, why: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${where} is not a record of a run: ${why}`, {
    remedy: 'give a report page, or the file that this writes: tandem run … --record run.json',
  });
}
