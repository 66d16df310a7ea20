/** Loading: the stages of a plan in their pools, side by side, and what they say they would give before any of them has computed. */
import type { Section } from '../arena/turns.js';
import { ENGINES } from '../engine/registry.js';
import type { Slice } from '../model/slice.js';
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
  readonly plan: Plan;
  readonly sections: readonly Section[];
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

/** What lies across each cut, section by section, each once its first stage is loaded; `null` where an engine cannot tell without computing. */
export async function foreseeAll(
  { plan, sections, slices, pools }: Stages,
  rowSpecs: readonly TensorSpec[],
  loading: readonly Promise<Loaded>[],
): Promise<Foreseen['found'] | null> {
  const found = new Map<string, TensorSpec>(
    rowSpecs.map((spec) => [spec.name, { ...spec, shape: [plan.microBatch, ...spec.shape] }]),
  );
  for (const { stages } of sections) {
    const j = stages[0]!;
    await loading[j];
    const outputs = await pools[j]!.foresee(slices[j]!.inputs.map((name) => found.get(name)!));
    if (!outputs) return null;
    for (const spec of outputs) found.set(spec.name, { ...spec, shape: [...spec.shape] });
  }
  return found as Map<string, Live & { name: string }>;
}
