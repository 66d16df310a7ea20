/** The cut by estimate: balances counted FLOPs, for as long as nobody has measured the layers. */

import { sectionsOf, type Taking } from '../arena/turns.js';
import { isCpu } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import { legalCuts, liveBytes } from '../model/cut.js';
import { estimateFlops } from '../model/flops.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { runningSums, sum } from '../sums.js';
import { partition } from './partition.js';
import type { LayerRange, StagePlan } from './plan.js';

/** How many CPU threads a graphics card counts for while nothing is measured; a rough guess, and told as one. */
const THREADS_OF_A_GPU = 20;

/** FLOPs that a core does in the time in which a byte moves into a slot and out again: 50 GFLOP/s against 2.5 GB/s. */
const FLOPS_PER_BYTE_MOVED = 20;

/**
 * Layer ranges whose slowest stage has the fewest estimated FLOPs per thread. Without `facts` (dims that only the rows
 * tell) the bytes of the weights stand in for the FLOPs. Throws TANDEM_LAYERS_INVALID when there are too few places to cut.
 */
export function estimateRanges(
  graph: ModelGraph,
  stages: readonly (Taking & Estimated)[],
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
  const sections = sectionsOf(stages);
  const found = partition({
    layers: count,
    stages: sections.map(({ stages: own }) => {
      const speed = sum(own.map((j) => speedOf(stages[j]!)));
      const seconds = (from: number, to: number) => (traffic(from) + sums[to]! - sums[from]! + traffic(to)) / speed;
      return [{ cores: 0, seconds, work: seconds, fits: () => true, takes: () => 0 }];
    }),
    cores: 0,
    room: 0,
    // Where what lives across a cut is not known, it might be anything.
    legal: (k) => legal.has(graph.layers[k]!.from) && (!live || live[graph.layers[k]!.from] !== null),
  });
  if (!found) {
    const places = graph.layers.filter(({ from }) => legal.has(from)).length;
    throw new TandemError(
      'TANDEM_LAYERS_INVALID',
      `the model has ${places} ${places === 1 ? 'place' : 'places'} to cut, too few for ${sections.length} stages`,
      { remedy: `use at most ${places + 1} --stage` },
    );
  }
  const bounds = [...found.starts, count];
  return sections.flatMap(({ stages: own }, n) => own.map(() => ({ from: bounds[n]!, to: bounds[n + 1]! - 1 })));
}

type Estimated = Pick<StagePlan, 'device' | 'threads' | 'workers'>;

/** In threads of a CPU. */
export function speedOf({ device, threads, workers }: Estimated): number {
  return (isCpu(device) ? threads : THREADS_OF_A_GPU) * workers;
}
