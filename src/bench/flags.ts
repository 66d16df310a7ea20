/** A plan as the words of a command line that a person can paste. */
import { sectionsOf } from '../arena/turns.js';
import type { Plan, StagePlan } from '../plan/plan.js';
import type { Course } from './row-bank.js';

/** `--stage cpu,layers=0..5,threads=1 … --micro-batch 8 --depth 5`. */
export function flagsOf({ stages }: Plan, { microBatch, depth }: Pick<Course, 'microBatch' | 'depth'>): string {
  return [
    // Of more workers than micro-batches some would never work.
    ...sectionsOf(stages).map(({ stages: own }) => {
      const words = own.map((j) => stageWords({ ...stages[j]!, workers: Math.min(stages[j]!.workers, depth) }));
      return `--stage ${words.join('+')}`;
    }),
    `--micro-batch ${microBatch}`,
    `--depth ${depth}`,
  ].join(' ');
}

function stageWords({ device, layers, threads, workers, turns }: StagePlan): string {
  const more = `${workers > 1 ? `,workers=${workers}` : ''}${turns === undefined ? '' : `,turns=${turns}`}`;
  return `${device},layers=${layers.from}..${layers.to},threads=${threads}${more}`;
}
