/**
 * The timeline as Chrome's trace events (JSON), which ui.perfetto.dev and chrome://tracing open: a process for each stage, a
 * thread for each worker, arrows from stage to stage, and each micro-batch's way as an asynchronous track.
 */
import type { RunPart, RunRecord } from './record.js';

/** Times and durations in microseconds. Fields as in Google's "Trace Event Format". */
export interface TraceEvent {
  readonly ph: 'M' | 'X' | 'b' | 'e' | 's' | 'f' | 'C';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly name: string;
  readonly cat?: string;
  readonly id?: number;
  readonly dur?: number;
  /** An arrow's end points at the slice that encloses it. */
  readonly bp?: 'e';
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
  readonly otherData: Readonly<Record<string, string>>;
}

/** What is of no stage: the micro-batches' tracks and the counter of rows. */
const JOB_PID = 1;
const FIRST_STAGE_PID = 2;

interface Box {
  readonly stage: number;
  readonly tid: number;
  readonly microBatch: number;
  readonly rows: number;
  readonly readyAt: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

export function traceOf({ title, version, command, run }: RunRecord): Trace {
  const boxes = run ? boxesOf(run) : [];
  const byMicroBatch = new Map<number, Box[]>();
  for (const box of boxes) byMicroBatch.set(box.microBatch, [...(byMicroBatch.get(box.microBatch) ?? []), box]);
  const ways = [...byMicroBatch.values()].map((way) => way.toSorted((a, b) => a.stage - b.stage));
  const slices = boxes.map(
    ({ stage, tid, microBatch, rows, acceptedAt, finishedAt }): TraceEvent => ({
      ...{ ph: 'X', pid: FIRST_STAGE_PID + stage, tid, ts: acceptedAt, dur: finishedAt - acceptedAt },
      ...{ name: `micro-batch ${microBatch}`, cat: 'compute', args: { stage, microBatch, rows } },
    }),
  );
  return {
    traceEvents: run ? [...names(run), ...slices, ...ways.flatMap(way), ...ways.flatMap(arrows), ...counter(run)] : [],
    displayTimeUnit: 'ms',
    otherData: { model: title, tandem: version, command: command.join(' ') },
  };
}

/** In the order of time by lane; a lane does one thing at a time, so what would overlap by a rounding is clipped. */
function boxesOf({ timeline: { lanes, spans } }: RunPart): Box[] {
  const order = [...spans.lane.keys()].sort(
    (a, b) => spans.lane[a]! - spans.lane[b]! || spans.acceptedAt[a]! - spans.acceptedAt[b]!,
  );
  const freeAt = lanes.map(() => 0);
  return order.map((n) => {
    const lane = spans.lane[n]!;
    const acceptedAt = Math.max(spans.acceptedAt[n]!, freeAt[lane]!);
    const finishedAt = Math.max(spans.finishedAt[n]!, acceptedAt);
    freeAt[lane] = finishedAt;
    const readyAt = Math.min(spans.readyAt[n]!, acceptedAt);
    const { microBatch, rows } = { microBatch: spans.microBatch[n]!, rows: spans.rows[n]! };
    return { stage: lanes[lane]!.stage, tid: lane + 1, microBatch, rows, readyAt, acceptedAt, finishedAt };
  });
}

function names({ summary, timeline: { lanes } }: RunPart): TraceEvent[] {
  const name = (what: string, pid: number, tid: number, args: Record<string, unknown>): TraceEvent => ({
    ...{ ph: 'M', pid, tid, ts: 0, name: what, args },
  });
  return [
    name('process_name', JOB_PID, 0, { name: 'job' }),
    ...summary.stages.flatMap(({ stage, device, deviceName, layers, beside }) => [
      name('process_name', FIRST_STAGE_PID + stage, 0, {
        name: `stage ${stage} · ${device} (${deviceName}), layers ${layers.from}..${layers.to}${beside ? `, beside stage ${stage - 1}` : ''}`,
      }),
      name('process_sort_index', FIRST_STAGE_PID + stage, 0, { sort_index: stage + 1 }),
    ]),
    ...lanes.map(({ stage, worker }, lane) =>
      name('thread_name', FIRST_STAGE_PID + stage, lane + 1, {
        name: `${summary.stages[stage]!.device} worker ${worker}`,
      }),
    ),
  ];
}

/**
 * One micro-batch from ready to done, and within it each time that it lay ready and nobody had taken it up. All have one name,
 * so that viewers stack those that are in flight together and do not give each a line of its own.
 */
function way(boxes: readonly Box[]): TraceEvent[] {
  const { microBatch, rows, readyAt } = boxes[0]!;
  const track = { pid: JOB_PID, tid: 0, cat: 'micro-batch', id: microBatch };
  const waits = boxes.flatMap(({ stage, readyAt: ready, acceptedAt: to }, n): TraceEvent[] => {
    const from = Math.max(ready, boxes[n - 1]?.finishedAt ?? 0);
    const wait = { ...track, name: `ready for stage ${stage}` };
    return from < to
      ? [
          { ...wait, ph: 'b', ts: from },
          { ...wait, ph: 'e', ts: to },
        ]
      : [];
  });
  return [
    { ...track, ph: 'b', ts: readyAt, name: 'micro-batch', args: { microBatch, rows } },
    ...waits,
    { ...track, ph: 'e', ts: boxes.at(-1)!.finishedAt, name: 'micro-batch' },
  ];
}

/** From each slice of a micro-batch to its next one. */
function arrows(boxes: readonly Box[]): TraceEvent[] {
  return boxes.slice(1).flatMap((to, n): TraceEvent[] => {
    const from = boxes[n]!;
    const arrow = { name: 'hand over', cat: 'hand over', id: to.microBatch * boxes.length + n };
    // An arrow belongs to the slice that its time lies in, whose end is no longer part of it.
    const leaves = Math.max(from.acceptedAt, from.finishedAt - 1);
    return [
      { ...arrow, ph: 's', pid: FIRST_STAGE_PID + from.stage, tid: from.tid, ts: leaves },
      { ...arrow, ph: 'f', bp: 'e', pid: FIRST_STAGE_PID + to.stage, tid: to.tid, ts: to.acceptedAt },
    ];
  });
}

function counter({ pace: { intervalSeconds, rows } }: RunPart): TraceEvent[] {
  return rows.map((count, n) => ({
    ...{ ph: 'C', pid: JOB_PID, tid: 0, ts: Math.round(n * intervalSeconds * 1e6), name: 'rows/s' },
    args: { rows: count / intervalSeconds },
  }));
}
