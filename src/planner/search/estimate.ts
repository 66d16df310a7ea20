/** The cut by estimate: balances counted FLOPs while the layers are not measured. */

import { type Replica, replicaGroupsOf } from '../../arena/replicas.js';
import { isCpu } from '../../engine/device.js';
import { legalCuts, liveBytes } from '../../model/cut.js';
import { estimateFlops } from '../../model/flops.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../../model/graph.js';
import type { StagePlan } from '../../plan/plan.js';
import type { LayerRange } from '../../plan/stage-options.js';
import { runningSums, sum } from '../../sums.js';
import { tooFewCutPoints } from './cut-points.js';
import { partition } from './partition.js';

/** How many CPU threads a graphics card counts for while nothing is measured. A rough guess; the plan reports it as an estimate. */
const THREADS_OF_A_GPU = 20;

/** FLOPs that a core does in the time in which a byte moves into a slot and out again: 50 GFLOP/s against 2.5 GB/s. */
const FLOPS_PER_BYTE_MOVED = 20;

/**
 * The cut whose slowest stage has the fewest estimated FLOPs per thread. Without `facts` (some dimensions are known only from the rows) the
 * bytes of the weights stand in for the FLOPs. Throws TANDEM_LAYERS_INVALID if there are too few cut points.
 */
export function estimateRanges(
  graph: ModelGraph,
  stages: readonly (Replica & Estimated)[],
  facts: TensorFacts | null,
): LayerRange[] {
  const legal = new Set(legalCuts(graph));
  const flops = facts && estimateFlops(graph, facts);
  const live = facts && liveBytes(graph, facts, 1);
  const costs = graph.layers.map(({ from, to }) => (flops ? sum(flops.slice(from, to)) : weightBytes(graph, from, to)));
  const sums = runningSums(costs);
  const count = graph.layers.length;
  const traffic = (k: number) =>
    k === 0 || k === count ? 0 : (live?.[graph.layers[k]!.from] ?? 0) * FLOPS_PER_BYTE_MOVED;
  const replicaGroups = replicaGroupsOf(stages);
  const found = partition({
    layers: count,
    stages: replicaGroups.map(({ stages: own }) => {
      const speed = sum(own.map((j) => speedOf(stages[j]!)));
      const seconds = (from: number, to: number) => (traffic(from) + sums[to]! - sums[from]! + traffic(to)) / speed;
      return [{ cores: 0, most: 1, seconds, work: seconds, fits: () => true, sharedBytes: () => 0 }];
    }),
    cores: 0,
    memory: 0,
    // A cut whose live tensors have an unknown size cannot be used: they may be of any size.
    legal: (k) => legal.has(graph.layers[k]!.from) && (!live || live[graph.layers[k]!.from] !== null),
  });
  if (!found) throw tooFewCutPoints(graph, stages);
  const bounds = [...found.starts, count];
  return replicaGroups.flatMap(({ stages: own }, n) => own.map(() => ({ from: bounds[n]!, to: bounds[n + 1]! - 1 })));
}

type Estimated = Pick<StagePlan, 'device' | 'threads' | 'workers'>;

/** In threads of a CPU. */
export function speedOf({ device, threads, workers }: Estimated): number {
  return (isCpu(device) ? threads : THREADS_OF_A_GPU) * workers;
}
