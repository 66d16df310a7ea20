/** A plan as the words of a command line that a person can paste. */
import type { Plan, StagePlan } from '../plan/plan.js';
import type { Course } from './row-bank.js';

/** `--stage cpu,layers=0..5,threads=1 … --micro-batch 8 --depth 5`. */
export function flagsOf({ stages }: Plan, { microBatch, depth }: Pick<Course, 'microBatch' | 'depth'>): string {
  return [
    // Of more workers than micro-batches some would never work.
    ...stages.map((stage) => `--stage ${stageWords({ ...stage, workers: Math.min(stage.workers, depth) })}`),
    `--micro-batch ${microBatch}`,
    `--depth ${depth}`,
  ].join(' ');
}

function stageWords({ device, layers, threads, workers }: StagePlan): string {
  const more = workers > 1 ? `,workers=${workers}` : '';
  return `${device},layers=${layers.from}..${layers.to},threads=${threads}${more}`;
}
