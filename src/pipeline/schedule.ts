/**
 * The schedule as data: which stage works on which micro-batch at which step, before anything runs.
 *
 * m micro-batches, n stages; i is a micro-batch, j a stage. Forward only (no gradients), so it is GPipe's forward clock:
 * at step t stage j works on micro-batch t - j (Huang et al. 2019, arXiv:1811.06965; torchgpipe's `clock_cycles`).
 *
 *   step     0  1  2  3  4
 *   stage 0  0  1  2  3  ·
 *   stage 1  ·  0  1  2  3
 */

import { type Section, sectionsOf, turnOf } from '../arena/turns.js';

/** The (stage, micro-batch) pairs of each step. */
export function* clockCycles(m: number, n: number): Generator<{ stage: number; microBatch: number }[]> {
  for (let t = 0; t < m + n - 1; t++) {
    const first = Math.max(0, t - m + 1);
    const last = Math.min(t, n - 1);
    yield Array.from({ length: last - first + 1 }, (_, k) => ({ stage: first + k, microBatch: t - first - k }));
  }
}

/** The schedule as a grid, a line per stage and a column per step; `·` is a bubble. */
export function formatSchedule(m: number, n: number): string {
  const grid = Array.from({ length: n }, () => new Array<string>(Math.max(0, m + n - 1)).fill('·'));
  let step = 0;
  for (const pairs of clockCycles(m, n)) {
    for (const { stage, microBatch } of pairs) grid[stage]![step] = String(microBatch);
    step += 1;
  }
  const width = String(Math.max(0, m - 1)).length;
  return grid.map((cells, j) => `stage ${j}  ${cells.map((cell) => cell.padStart(width)).join(' ')}`).join('\n');
}

export interface StageTime {
  /** Seconds that one micro-batch takes in the stage. */
  readonly seconds: number;
  readonly workers: number;
}

/** Seconds between two micro-batches as the slowest stage allows them; `shares` of the micro-batches that each stage takes. */
export function intervalOf(stages: readonly StageTime[], shares: readonly number[]): number {
  return Math.max(...stages.map(({ seconds, workers }, j) => (shares[j]! * seconds) / workers));
}

export interface Prediction {
  readonly seconds: number;
  /** Per stage: the share of its workers' time in which they compute nothing. */
  readonly bubbles: readonly number[];
}

/**
 * How long m micro-batches take when at most `depth` are in flight: the exact run of the pipeline on stages that always take
 * the same time and hops that take none. With depth enough and one worker a stage this is fill + m x slowest stage. Where each micro-batch
 * has its own time, `secondsOf` tells it: stages whose times vary wait for each other, as they do in truth.
 */
export function predict(
  stages: readonly StageTime[],
  m: number,
  depth: number,
  sections: readonly Section[] = sectionsOf(stages.map(() => ({}))),
  secondsOf: (stage: number, microBatch: number) => number = (stage) => stages[stage]!.seconds,
): Prediction {
  const workers = stages.map(({ workers }) => new Array<number>(workers).fill(0));
  const busy = stages.map(() => 0);
  const finished: number[] = [];
  for (let i = 0; i < m; i++) {
    let ready = i < depth ? 0 : finished[i - depth]!;
    for (const { stages: own, order } of sections) {
      const j = own[turnOf(order, i)]!;
      const freeAt = workers[j]!;
      const earliest = freeAt.indexOf(Math.min(...freeAt));
      const took = secondsOf(j, i);
      ready = Math.max(ready, freeAt[earliest]!) + took;
      freeAt[earliest] = ready;
      busy[j]! += took;
    }
    // Output keeps the input's order, so a slot is free only when those before it are.
    finished.push(Math.max(ready, finished.at(-1) ?? 0));
  }
  const seconds = finished.at(-1) ?? 0;
  const bubbles = stages.map((stage, j) => (seconds === 0 ? 0 : 1 - busy[j]! / (stage.workers * seconds)));
  return { seconds, bubbles };
}
