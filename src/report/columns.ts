/** A timeline as plain columns, one value a span or an interval: as records hold it. */
import type { Preparing } from '../rows/preparing.js';
import type { Timeline } from '../timeline/timeline.js';
import type { RunPart } from './record.js';

/** Times are microseconds since the first row was read. */
export function columnsOf(timeline: Timeline): Pick<RunPart, 'timeline' | 'pace'> {
  const { lanes, recorded } = timeline;
  return { timeline: { lanes, recorded, spans: spansOf(timeline) }, pace: paceOf(timeline) };
}

function spansOf({ spans, lanes, startedAt }: Timeline): RunPart['timeline']['spans'] {
  const laneOf = new Map(lanes.map(({ stage, worker }, lane) => [`${stage}/${worker}`, lane]));
  const since = (time: number) => Math.max(0, Math.round(time - startedAt));
  return {
    lane: spans.map(({ stage, worker }) => laneOf.get(`${stage}/${worker}`)!),
    microBatch: spans.map(({ microBatch }) => microBatch),
    rows: spans.map(({ rows }) => rows),
    readyAt: spans.map(({ readyAt }) => since(readyAt)),
    ...(spans.some(({ loadedFrom }) => loadedFrom !== undefined)
      ? { loadedFrom: spans.map(({ loadedFrom, acceptedAt }) => since(loadedFrom ?? acceptedAt)) }
      : {}),
    acceptedAt: spans.map(({ acceptedAt }) => since(acceptedAt)),
    finishedAt: spans.map(({ finishedAt }) => since(finishedAt)),
  };
}

function paceOf({ pace }: Timeline): RunPart['pace'] {
  const { intervalSeconds, rows, busySeconds } = pace;
  const micros = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
  return { intervalSeconds, rows, busySeconds: busySeconds.map((lane) => lane.map(micros)) };
}

/** Of the calls that ended after the run began. */
export function preparingColumns(
  { what, threads, use: { spans, ...use } }: Preparing,
  startedAt: number,
): NonNullable<RunPart['preparing']> {
  const own = spans.filter(({ finishedAt }) => finishedAt > startedAt);
  const lanes = [...new Set(own.map(({ thread }) => thread))].sort((a, b) => a - b);
  const since = (time: number) => Math.max(0, Math.round(time - startedAt));
  return {
    ...{ what, threads, ...use },
    spans: {
      lane: own.map(({ thread }) => lanes.indexOf(thread)),
      rows: own.map(({ rows }) => rows),
      startedAt: own.map((span) => since(span.startedAt)),
      finishedAt: own.map((span) => since(span.finishedAt)),
    },
  };
}
