/** The hop: the time between two stages, in which a micro-batch waits though a worker is free. */
import { median } from '../planner/measure/median.js';
import type { Span } from '../timeline/spans.js';

/** Median seconds between "ready for the stage, and a worker free" and "accepted". */
export function hopOf(spans: readonly Span[], stage: number, workers: number): number {
  const own = spans.filter((span) => span.stage === stage).toSorted((a, b) => a.acceptedAt - b.acceptedAt);
  const freeAt = new Array<number>(workers).fill(Number.NEGATIVE_INFINITY);
  const hops = own.map(({ readyAt, acceptedAt, finishedAt }) => {
    const earliest = freeAt.indexOf(Math.min(...freeAt));
    const waited = acceptedAt - Math.max(readyAt, freeAt[earliest]!);
    freeAt[earliest] = finishedAt;
    return waited;
  });
  return hops.length === 0 ? 0 : Math.max(0, median(hops)) / 1e6;
}
