/**
 * Converts the timeline to Chrome's trace events (JSON) for ui.perfetto.dev and chrome://tracing: a process for each stage, a
 * thread for each worker, arrows from stage to stage, and an asynchronous track for each micro-batch.
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
  /** Binds the end of an arrow to the enclosing slice. */
  readonly bp?: 'e';
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
  readonly otherData: Readonly<Record<string, string>>;
}

/** The process for the micro-batches' tracks and the counter of rows. */
const JOB_PID = 1;
const FIRST_STAGE_PID = 2;

interface Box {
  readonly stage: number;
  readonly tid: number;
  readonly microBatch: number;
  readonly rows: number;
  readonly readyAt: number;
  readonly loadedFrom: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

export function traceOf({ title, version, command, run }: RunRecord): Trace {
  const boxes = run ? boxesOf(run) : [];
  const byMicroBatch = new Map<number, Box[]>();
  for (const box of boxes) byMicroBatch.set(box.microBatch, [...(byMicroBatch.get(box.microBatch) ?? []), box]);
  const ways = [...byMicroBatch.values()].map((way) =>
    way.toSorted((a, b) => a.stage - b.stage || a.acceptedAt - b.acceptedAt),
  );
  const slices = boxes.map(
    ({ stage, tid, microBatch, rows, acceptedAt, finishedAt }): TraceEvent => ({
      ...{ ph: 'X', pid: FIRST_STAGE_PID + stage, tid, ts: acceptedAt, dur: finishedAt - acceptedAt },
      ...{ name: `micro-batch ${microBatch}`, cat: 'compute', args: { stage, microBatch, rows } },
    }),
  );
  const loads = boxes
    .filter(({ loadedFrom, acceptedAt }) => loadedFrom < acceptedAt)
    .map(
      ({ stage, tid, microBatch, loadedFrom, acceptedAt }): TraceEvent => ({
        ...{ ph: 'X', pid: FIRST_STAGE_PID + stage, tid, ts: loadedFrom, dur: acceptedAt - loadedFrom },
        ...{ name: 'load', cat: 'load', cname: 'thread_state_iowait', args: { stage, before: microBatch } },
      }),
    );
  return {
    traceEvents: run
      ? [
          ...names(run),
          ...slices,
          ...loads,
          ...ways.flatMap(way),
          ...ways.flatMap(arrows),
          ...prepared(run),
          ...counter(run),
        ]
      : [],
    displayTimeUnit: 'ms',
    otherData: { model: title, tandem: version, command: command.join(' ') },
  };
}

/** Slices by lane in time order. A lane computes one micro-batch at a time, so overlaps caused by rounding are clipped. */
function boxesOf({ timeline: { lanes, spans } }: RunPart): Box[] {
  const order = [...spans.lane.keys()].sort(
    (a, b) => spans.lane[a]! - spans.lane[b]! || spans.acceptedAt[a]! - spans.acceptedAt[b]!,
  );
  const freeAt = lanes.map(() => 0);
  return order.map((n) => {
    const lane = spans.lane[n]!;
    const loadedFrom = Math.max((spans.loadedFrom ?? spans.acceptedAt)[n]!, freeAt[lane]!);
    const acceptedAt = Math.max(spans.acceptedAt[n]!, loadedFrom);
    const finishedAt = Math.max(spans.finishedAt[n]!, acceptedAt);
    freeAt[lane] = finishedAt;
    const readyAt = Math.min(spans.readyAt[n]!, acceptedAt);
    const { microBatch, rows } = { microBatch: spans.microBatch[n]!, rows: spans.rows[n]! };
    return { stage: lanes[lane]!.stage, tid: lane + 1, microBatch, rows, readyAt, loadedFrom, acceptedAt, finishedAt };
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
        name: `stage ${stage} · ${device} (${deviceName}), layers ${layers.from}..${layers.to}${beside ? `, replica of stage ${stage - 1}` : ''}`,
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
 * One micro-batch from ready to done, with a nested slice for each time it was ready but not accepted. All have the same name,
 * so that viewers stack the micro-batches in flight instead of giving each its own line.
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

/** Arrows from each slice of a micro-batch to the next. */
function arrows(boxes: readonly Box[]): TraceEvent[] {
  return boxes.slice(1).flatMap((to, n): TraceEvent[] => {
    const from = boxes[n]!;
    const arrow = { name: 'hand over', cat: 'hand over', id: to.microBatch * boxes.length + n };
    // An arrow belongs to the slice that contains its time; the end of a slice is exclusive.
    const leaves = Math.max(from.acceptedAt, from.finishedAt - 1);
    return [
      { ...arrow, ph: 's', pid: FIRST_STAGE_PID + from.stage, tid: from.tid, ts: leaves },
      { ...arrow, ph: 'f', bp: 'e', pid: FIRST_STAGE_PID + to.stage, tid: to.tid, ts: to.acceptedAt },
    ];
  });
}

/** The calls of the threads that prepare rows, in a process of their own behind the stages. */
function prepared({ preparing, summary }: RunPart): TraceEvent[] {
  if (!preparing) return [];
  const pid = FIRST_STAGE_PID + summary.stages.length;
  const { lane: lanes, rows, startedAt, finishedAt } = preparing.spans;
  const slices = lanes.map((lane, n): TraceEvent => {
    const [from, to] = [startedAt[n]!, finishedAt[n]!];
    const named = { name: preparing.what, cat: 'prepare', args: { rows: rows[n]! } };
    return { ph: 'X', pid, tid: lane + 1, ts: from, dur: to - from, ...named };
  });
  return [{ ph: 'M', pid, tid: 0, ts: 0, name: 'process_name', args: { name: `rows: ${preparing.what}` } }, ...slices];
}

function counter({ pace: { intervalSeconds, rows } }: RunPart): TraceEvent[] {
  return rows.map((count, n) => ({
    ...{ ph: 'C', pid: JOB_PID, tid: 0, ts: Math.round(n * intervalSeconds * 1e6), name: 'rows/s' },
    args: { rows: count / intervalSeconds },
  }));
}
