/** The record: all that a report shows, as plain JSON that is kept, passed on and drawn again. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { MACHINE } from '../plan/machine-schema.js';

const COUNT = z.number().int().min(0);
const AMOUNT = z.number().min(0);
const TEXT = z.string().max(100_000);
const NAME = z.string().max(1000);

/** The fields of the summary that are shown; it may have more. */
const SUMMARY = z.object({
  rows: COUNT,
  /** Of them the work of earlier runs. */
  rowsBefore: COUNT.optional(),
  failedRows: COUNT,
  seconds: AMOUNT,
  loadSeconds: AMOUNT,
  rowsPerSecond: AMOUNT,
  microBatches: COUNT,
  microBatchRows: COUNT,
  depth: COUNT,
  isolation: NAME,
  engine: NAME,
  cutBy: NAME,
  bubble: z.object({ predicted: z.number(), measured: z.number() }),
  predicted: z.object({ rowsPerSecond: AMOUNT }),
  /** What the plan promised, where it was measured. */
  planned: z.object({ rowsPerSecond: AMOUNT, bubble: z.number() }).nullish(),
  arenaBytes: AMOUNT,
  peakRssBytes: AMOUNT,
  stopped: z.boolean(),
  stages: z
    .array(
      z.object({
        stage: COUNT,
        /** Whether it computes the layers of the stage before it, in turn with it; `turns` of each round are its own. */
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
        weightBytes: AMOUNT,
      }),
    )
    .min(1)
    .max(1000),
});

/** What the plan says of a stage beyond the summary. */
const STAGE_PLAN = z.object({
  firstLayer: NAME,
  lastLayer: NAME,
  /** Bytes that the stage may hold; `null` where nobody set a limit. */
  budgetBytes: AMOUNT.nullable(),
  /** Bytes of one micro-batch that live across the cut before the stage; for the first, the model's inputs. */
  liveBytes: AMOUNT,
});

const MICROS = z.array(AMOUNT).max(1_000_000);

/** Spans as columns of equal length; times in microseconds since the run began. */
const SPANS = z.object({
  /** Index into `lanes`. */
  lane: MICROS,
  microBatch: MICROS,
  rows: MICROS,
  readyAt: MICROS,
  acceptedAt: MICROS,
  finishedAt: MICROS,
});

const RUN = z.object({
  summary: SUMMARY,
  stages: z.array(STAGE_PLAN),
  timeline: z.object({
    lanes: z.array(z.object({ stage: COUNT, worker: COUNT })).max(10_000),
    /** Spans of the whole run; those that are not in `spans` live on in the pace only. */
    recorded: COUNT,
    spans: SPANS,
  }),
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
        /** The first ones. */
        examples: z.array(z.object({ index: COUNT, id: z.union([z.string(), z.number()]), message: TEXT })).max(100),
      }),
    )
    .max(1000),
});

/** Figures side by side, as bars with their spread. */
const COMPARISON = z.object({
  title: NAME,
  /** What the figures are, `rows/s`. */
  unit: NAME,
  note: TEXT.optional(),
  cases: z
    .array(
      z.object({
        name: NAME,
        /** The median. */
        value: AMOUNT,
        /** How far from the value the true one may lie, as a share of it. */
        spread: AMOUNT.optional(),
        /** The figure that the case would reach at best. */
        ideal: AMOUNT.optional(),
        note: NAME.optional(),
        /** The one that matters; it is drawn in colour. */
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
  /** Of tandem. */
  version: NAME,
  /** The command line, word by word. */
  command: z.array(TEXT).max(10_000),
  machine: MACHINE,
  /** Sentences over the page: what was found. Those of a run are made from its figures. */
  verdict: z.array(TEXT).max(100).optional(),
  run: RUN.nullable(),
  comparisons: z.array(COMPARISON).max(100),
});

/** As it is passed around: nobody changes a record. */
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

/** Reads a record, or the one that a report page carries. Throws TANDEM_USAGE; `where` names the file for people. */
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

/** What refers to something that is not there. */
function unevenPart({ summary, stages, timeline, pace }: RunPart): string | null {
  const { lanes, spans } = timeline;
  const length = spans.lane.length;
  if (stages.length !== summary.stages.length) return 'run.stages and run.summary.stages differ in length';
  if (Object.values(spans).some((column) => column.length !== length)) return 'run.timeline.spans differ in length';
  if (spans.lane.some((lane) => lanes[lane] === undefined)) return 'run.timeline.spans name a lane that is not there';
  if (lanes.some(({ stage }) => stage >= stages.length)) return 'run.timeline.lanes name a stage that is not there';
  if (pace.busySeconds.length !== lanes.length) return 'run.pace.busySeconds has not one row for each lane';
  if (pace.busySeconds.some((row) => row.length !== pace.rows.length)) return 'run.pace is not even';
  return null;
}

function notARecord(where: string, why: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${where} is no record of a run: ${why}`, {
    remedy: 'give a report page, or the file that this writes: tandem run … --record run.json',
  });
}
