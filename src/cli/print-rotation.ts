/** Prints how stages rotate: in a plan, and what a run loaded. */
import { grouped } from '../grouped-digits.js';
import type { StageSummary } from '../job/summary.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import type { Plan } from '../plan/plan.js';
import { sum } from '../sums.js';
import { formatBytes } from './bytes.js';

/** A line for each stage that rotates. */
export function rotationLines(graph: ModelGraph, { stages, block }: Plan): string[] {
  return stages.flatMap(({ passes = [], resident, memory }, stage) => {
    if (resident === undefined) return [];
    const bytes = passes.map(({ from, to }) => weightBytes(graph, from, to));
    const stay = sum(bytes.slice(0, resident));
    const rotating = bytes.slice(resident);
    const streamed = sum(rotating);
    const budget = memory === undefined ? '' : `, to keep to ${formatBytes(memory)}`;
    return [
      `stage ${stage} rotates${budget}: ${formatBytes(stay)} of weights stay loaded, and ${formatBytes(streamed)} are loaded in ${rotating.length} passes of ${formatBytes(Math.max(...rotating))} at most for each block of ${block} micro-batches`,
    ];
  });
}

/** A line for each stage that loaded slices while the job ran. */
export function loadLines(stages: readonly StageSummary[]): string[] {
  return stages.flatMap(({ stage, loads, loadingSeconds, loadedBytes, workers }) =>
    loads === 0
      ? []
      : [
          `stage ${stage} loaded ${formatBytes(loadedBytes)} in ${grouped(loads)} passes, ${loadingSeconds.toFixed(2)} s${workers > 1 ? ' of all workers' : ''}`,
        ],
  );
}
