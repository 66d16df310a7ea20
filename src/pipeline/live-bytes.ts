/** Live bytes: what one micro-batch's slot carries across the cut before each stage. */
import type { Layout } from '../arena/layout.js';
import type { ReplicaGroup } from '../arena/replicas.js';
import { lifetimes, livesAcross } from '../liveness.js';
import type { ModelGraph } from '../model/graph.js';
import type { Slice } from '../model/slice.js';

/** Bytes by stage, the same for replicas. `slices` are those of the layout's steps. */
export function liveBytesIn(
  layout: Layout,
  { inputs, outputs }: ModelGraph,
  slices: readonly Slice[],
  replicaGroups: readonly ReplicaGroup[],
): number[] {
  // Inputs stay in the slot to the end, but are live only while a later step reads them.
  const ends = { fed: inputs.map(({ name }) => name), kept: outputs };
  const lives = lifetimes(slices, ends);
  return replicaGroups.flatMap(({ stages }, n) => {
    const step = layout.steps.findIndex(({ stage }) => stage === n);
    const across = layout.regions.filter(({ name }) => livesAcross(lives.get(name)!, step));
    const bytes = across.reduce((sum, region) => sum + region.bytes, 0);
    return stages.map(() => bytes);
  });
}
