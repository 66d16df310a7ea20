/** The prediction: the time of a pipeline whose stages take known times, by simulating its schedule. */
import { type ReplicaGroup, replicaAt, replicaGroupsOf } from '../arena/replicas.js';

export interface StageTime {
  /** Seconds that one micro-batch takes in the stage. */
  readonly seconds: number;
  readonly workers: number;
}

/** Seconds between two micro-batches in the steady state, set by the slowest stage; `shares[j]` of all micro-batches go to stage j. */
export function intervalOf(stages: readonly StageTime[], shares: readonly number[]): number {
  return Math.max(...stages.map(({ seconds, workers }, j) => (shares[j]! * seconds) / workers));
}

export interface Prediction {
  readonly seconds: number;
  /** By stage: the fraction of its workers' time in which they compute nothing. */
  readonly bubbles: readonly number[];
}

/**
 * Seconds for m micro-batches with at most `depth` in flight: an exact simulation of stages that always take the same time and of hops that
 * take none. With enough depth and one worker a stage it is fill + m x slowest stage. `secondsOf` gives the time of each
 * micro-batch in each stage if they differ: stages then wait for each other.
 */
export function predict(
  stages: readonly StageTime[],
  m: number,
  depth: number,
  replicaGroups: readonly ReplicaGroup[] = replicaGroupsOf(stages.map(() => ({}))),
  secondsOf: (stage: number, microBatch: number) => number = (stage) => stages[stage]!.seconds,
): Prediction {
  const workers = stages.map(({ workers }) => new Array<number>(workers).fill(0));
  const busy = stages.map(() => 0);
  const finished: number[] = [];
  for (let i = 0; i < m; i++) {
    let ready = i < depth ? 0 : finished[i - depth]!;
    for (const { stages: own, roundRobin } of replicaGroups) {
      const j = own[replicaAt(roundRobin, i)]!;
      const freeAt = workers[j]!;
      const earliest = freeAt.indexOf(Math.min(...freeAt));
      const took = secondsOf(j, i);
      ready = Math.max(ready, freeAt[earliest]!) + took;
      freeAt[earliest] = ready;
      busy[j]! += took;
    }
    // The output keeps the input's order, so a slot is freed only after those of earlier micro-batches.
    finished.push(Math.max(ready, finished.at(-1) ?? 0));
  }
  const seconds = finished.at(-1) ?? 0;
  const bubbles = stages.map((stage, j) => (seconds === 0 ? 0 : 1 - busy[j]! / (stage.workers * seconds)));
  return { seconds, bubbles };
}
