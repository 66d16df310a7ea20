/** Loading: the stages of a plan in their pools, side by side, and what they say they would give before any of them has computed. */
import { ENGINES, isCpu } from '../engine/registry.js';
import type { ModelGraph } from '../model/graph.js';
import { type Slice, sliceOf } from '../model/slice.js';
import type { Plan } from '../plan/plan.js';
import type { Pool } from '../pool/pool.js';
import type { Loaded } from '../pool/protocol.js';
import type { Tensor, TensorSpec } from '../tensor.js';

/** What lies in a slot, at its largest. */
export type Live = Pick<Tensor, 'dtype' | 'shape'>;

/** What engines say that lies across each cut, for such rows. */
export interface Foreseen {
  readonly rowSpecs: readonly TensorSpec[];
  readonly found: ReadonlyMap<string, Live>;
}

interface Stages {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  readonly slices: readonly Slice[];
  readonly pools: readonly Pool[];
}

/** One after another where the engine cannot stand being started twice at once, else side by side. */
export function startLoading(plan: Plan, pools: readonly Pool[], slices: readonly Slice[]): Promise<Loaded>[] {
  const serial = plan.isolation === 'thread' && plan.stages.some(({ engine }) => ENGINES[engine].startsAlone);
  const loading: Promise<Loaded>[] = [];
  for (const [j, pool] of pools.entries()) {
    const before = serial ? loading.at(-1) : undefined;
    loading.push(before ? before.then(() => pool.load(slices[j]!)) : pool.load(slices[j]!));
  }
  return loading;
}

/**
 * What lies across all cuts, told by the stage that is loaded first while the others still load: it needs no weights. `null` where an engine
 * cannot tell without computing, or a stage is on a card, whose first run is no work that anybody should wait for.
 */
export async function foreseeAll(
  { graph, plan, slices, pools }: Stages,
  rowSpecs: readonly TensorSpec[],
  loading: readonly Promise<Loaded>[],
): Promise<Foreseen['found'] | null> {
  if (!plan.stages.every(({ device }) => isCpu(device))) return null;
  const found = new Map<string, TensorSpec>(
    rowSpecs.map((spec) => [spec.name, { ...spec, shape: [plan.microBatch, ...spec.shape] }]),
  );
  const outputs = [...new Set(slices.flatMap((slice) => slice.outputs))];
  const all = { ...sliceOf(graph, 0, graph.ops.length), outputs };
  const first = await Promise.race(loading.map((each, j) => each.then(() => j)));
  const foreseen = await pools[first]!.foresee(
    all,
    all.inputs.map((name) => found.get(name)!),
  );
  for (const spec of foreseen ?? []) found.set(spec.name, { ...spec, shape: [...spec.shape] });
  return foreseen && (found as Map<string, Live & { name: string }>);
}
