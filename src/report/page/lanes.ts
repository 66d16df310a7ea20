/** The lanes of the timeline: the micro-batches of each worker where single spans were recorded, and its busy share elsewhere. */
import type { RunPart } from '../record.js';

/** One micro-batch on one lane; microseconds since the start of the run. */
export interface Box {
  readonly lane: number;
  readonly stage: number;
  readonly microBatch: number;
  readonly rows: number;
  readonly readyAt: number;
  /** When its worker began to load the slice; `acceptedAt` if that was loaded. */
  readonly loadedFrom: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

/** A period in which every micro-batch was recorded. */
export interface Period {
  readonly from: number;
  readonly to: number;
  readonly firstMicroBatch: number;
  readonly lastMicroBatch: number;
}

export class Lanes {
  readonly names: readonly { readonly stage: number; readonly worker: number }[];
  /** By lane, in time order. */
  readonly boxes: readonly (readonly Box[])[];
  /** In stage order. */
  readonly byMicroBatch: ReadonlyMap<number, readonly Box[]>;
  readonly periods: readonly Period[];
  /** End of the run, in microseconds since its start. */
  readonly end: number;
  readonly #pace: RunPart['pace'];

  constructor({ timeline: { lanes, spans }, pace }: RunPart) {
    this.names = lanes;
    this.#pace = pace;
    const boxes = lanes.map((): Box[] => []);
    const byMicroBatch = new Map<number, Box[]>();
    for (const [n, lane] of spans.lane.entries()) {
      const box: Box = {
        ...{ lane, stage: lanes[lane]!.stage, microBatch: spans.microBatch[n]!, rows: spans.rows[n]! },
        ...{ loadedFrom: (spans.loadedFrom ?? spans.acceptedAt)[n]! },
        ...{ readyAt: spans.readyAt[n]!, acceptedAt: spans.acceptedAt[n]!, finishedAt: spans.finishedAt[n]! },
      };
      boxes[lane]!.push(box);
      const path = byMicroBatch.get(box.microBatch);
      if (path) path.push(box);
      else byMicroBatch.set(box.microBatch, [box]);
    }
    for (const lane of boxes) lane.sort((a, b) => a.acceptedAt - b.acceptedAt);
    for (const path of byMicroBatch.values()) path.sort((a, b) => a.stage - b.stage || a.acceptedAt - b.acceptedAt);
    this.boxes = boxes;
    this.byMicroBatch = byMicroBatch;
    this.periods = periodsOf(byMicroBatch);
    const lastBox = Math.max(0, ...boxes.map((lane) => lane.at(-1)?.finishedAt ?? 0));
    this.end = Math.max(1, lastBox, (pace.rows.length - 1) * pace.intervalSeconds * 1e6);
  }

  /** Index of the first box of a lane that ends after `time`. */
  indexAfter(lane: number, time: number): number {
    const boxes = this.boxes[lane]!;
    let low = 0;
    let high = boxes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (boxes[middle]!.finishedAt > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The boxes of a lane that overlap the time between `from` and `to`. */
  between(lane: number, from: number, to: number): readonly Box[] {
    const boxes = this.boxes[lane]!;
    const first = this.indexAfter(lane, from);
    let last = first;
    while (last < boxes.length && boxes[last]!.acceptedAt < to) last += 1;
    return boxes.slice(first, last);
  }

  /** The previous box on the same lane, if it is known that nothing ran between them. */
  before({ lane, acceptedAt }: Box): Box | null {
    const found = this.boxes[lane]![this.indexAfter(lane, acceptedAt) - 1];
    return found && this.known(found.finishedAt, acceptedAt) ? found : null;
  }

  /** Whether every box between two times was recorded. */
  known(from: number, to: number): boolean {
    return this.periods.some((period) => period.from <= from && to <= period.to);
  }

  /** The share of [from, to) in which a lane computed, from the boxes if they were recorded, else from the intervals of the record. */
  share(lane: number, from: number, to: number): number {
    let busy = 0;
    if (this.known(from, to)) {
      for (const { acceptedAt, finishedAt } of this.between(lane, from, to)) {
        busy += Math.min(finishedAt, to) - Math.max(acceptedAt, from);
      }
      return busy / (to - from);
    }
    const interval = this.#pace.intervalSeconds * 1e6;
    const shares = this.#pace.busySeconds[lane]!;
    for (let n = Math.max(0, Math.floor(from / interval)); n * interval < to && n < shares.length; n++) {
      const overlap = Math.min(to, (n + 1) * interval) - Math.max(from, n * interval);
      busy += ((shares[n]! * 1e6) / interval) * overlap;
    }
    return Math.min(1, busy / (to - from));
  }
}

/** The periods of recorded micro-batches with consecutive numbers. */
function periodsOf(byMicroBatch: ReadonlyMap<number, readonly Box[]>): Period[] {
  const numbers = [...byMicroBatch.keys()].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  const lastNumber = numbers.at(-1);
  return runs.map(([first, last]) => {
    const begin = byMicroBatch.get(first)!;
    const end = byMicroBatch.get(last)!;
    // At the start of a period the later stages still compute earlier micro-batches, which were not recorded; likewise at its end.
    const from = first === 0 ? 0 : Math.max(...begin.map(({ acceptedAt }) => acceptedAt));
    const ends = end.map(({ finishedAt }) => finishedAt);
    const to = last === lastNumber ? Math.max(...ends) : Math.min(...ends);
    return { from, to: Math.max(from, to), firstMicroBatch: first, lastMicroBatch: last };
  });
}
