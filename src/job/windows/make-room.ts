/** Makes room in a pipeline between two runs for rows that are longer than all before: those of a pipe are not known beforehand. */
import type { Pipeline } from '../../pipeline/pipeline.js';
import type { LengthPlan } from '../../plan/length-plan.js';
import type { TensorSpec } from '../../tensor.js';

/** `largest` as of the plan's `lengths`, which it returns anew. Throws what warming up throws, such as a budget that is passed. */
export async function makeRoom(
  pipeline: Pipeline,
  specs: readonly TensorSpec[],
  largest: readonly (readonly number[])[],
): Promise<LengthPlan> {
  const { plan } = pipeline;
  const before = plan.lengths!;
  const ragged = specs.flatMap(({ shape }, n) => largest[n]!.filter((_, axis) => shape[axis] === null));
  const longest = Math.max(before.longest, ...ragged);
  const lengths = { ...before, largest, longest, tokens: Math.max(before.tokens, longest) };
  await pipeline.adopt(
    { ...plan, lengths },
    specs.map((spec, n) => ({ ...spec, shape: largest[n]! })),
    specs,
  );
  return lengths;
}
