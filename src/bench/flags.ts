/** A plan as flags that can be pasted into a command line. */
import { replicaGroupsOf } from '../arena/replicas.js';
import type { Plan } from '../plan/plan.js';
import { stageText } from '../plan/stage-options.js';
import type { Workload } from '../planner/trial/workload.js';

/** `--stage cpu,layers=0..5,threads=1 … --micro-batch 8 --depth 5`. */
export function flagsOf({ stages }: Plan, { microBatch, depth }: Pick<Workload, 'microBatch' | 'depth'>): string {
  return [
    // More workers than micro-batches would never be used.
    ...replicaGroupsOf(stages).map(({ stages: own }) => {
      const words = own.map((j) => {
        const workers = Math.min(stages[j]!.workers, depth);
        return stageText({ ...stages[j]!, provider: undefined, workers: workers > 1 ? workers : undefined });
      });
      return `--stage ${words.join('+')}`;
    }),
    `--micro-batch ${microBatch}`,
    `--depth ${depth}`,
  ].join(' ');
}
