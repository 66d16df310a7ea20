/** Loading: starts the stages of a plan in their pools, and infers the shapes across their cuts before any of them has computed. */

import { entryOf } from '../engine/choose.js';
import { isCpu } from '../engine/device.js';
import { feedSpecs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { type Slice, sliceOf } from '../model/slice.js';
import type { Plan } from '../plan/plan.js';
import type { Pool } from '../pool/pool.js';
import type { Loaded } from '../pool/protocol.js';
import type { Tensor, TensorSpec } from '../tensor.js';

/** Element type and largest shape of a tensor in a slot; `bytes`: its room, if another shape needs more. */
export type Live = Pick<Tensor, 'dtype' | 'shape'> & { readonly bytes?: number };

/** The shapes across each cut that an engine inferred for rows of these shapes. */
export interface Inferred {
  readonly rowSpecs: readonly TensorSpec[];
  readonly found: ReadonlyMap<string, Live>;
}

/** The loaded stages of a plan; each has a pool. */
export interface Stages {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  /** By stage. */
  readonly passes: readonly (readonly Slice[])[];
  readonly pools: readonly Pool[];
}

/** Loads the stages sequentially if the engine cannot be started twice at once, else in parallel. */
export function startLoading({ plan, pools, passes }: Stages): Promise<Loaded>[] {
  const serial = plan.isolation === 'thread' && plan.stages.some(({ engine }) => entryOf(engine).startsAlone);
  const loading: Promise<Loaded>[] = [];
  for (const [j, pool] of pools.entries()) {
    const before = serial ? loading.at(-1) : undefined;
    const load = () => pool.load(passes[j]!, plan.stages[j]!.resident);
    loading.push(before ? before.then(load) : load());
  }
  return loading;
}

/**
 * Infers the shapes across all cuts for `rows` rows. The stage that is loaded first does it while the others still load, since it needs no
 * weights. `null` if the engine cannot infer shapes, or if a stage is on a card: its first run is slow and must come before the job.
 */
export async function inferAll(
  { graph, plan, passes, pools }: Stages,
  rowSpecs: readonly TensorSpec[],
  rows: number,
  loading: readonly Promise<unknown>[] = [Promise.resolve()],
): Promise<Inferred['found'] | null> {
  if (!plan.stages.every(({ device }) => isCpu(device))) return null;
  const found = new Map<string, TensorSpec>(feedSpecs(graph, rowSpecs, rows).map((spec) => [spec.name, spec]));
  const outputs = [...new Set(passes.flat().flatMap((slice) => slice.outputs))];
  const all = { ...sliceOf(graph, 0, graph.ops.length), outputs };
  const first = await Promise.race(loading.map((each, j) => each.then(() => j)));
  const inferred = await pools[first]!.infer(
    all,
    all.inputs.map((name) => found.get(name)!),
  );
  for (const spec of inferred ?? []) found.set(spec.name, { ...spec, shape: [...spec.shape] });
  return inferred && (found as Map<string, Live & { name: string }>);
}
