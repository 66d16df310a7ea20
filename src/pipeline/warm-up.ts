/** Warm-up: finds the live tensors at each cut, by running a micro-batch of zeros through every worker or from an engine's inferred shapes. */
import { replicaGroupsOf } from '../arena/replicas.js';
import { zeroFeeds } from '../model/fed-inputs.js';
import { keyOf } from '../model/slice.js';
import type { TensorSpec } from '../tensor.js';
import { inferAll, type Live, type Stages } from './load.js';
import { isDoubtful, needsOtherRows, otherRows, outputAxesOf } from './output-axes.js';

/** What the arena is laid out from. */
export interface AcrossCuts {
  /** Every tensor that crosses a cut, and the model's inputs and outputs, at their size in a full micro-batch. */
  readonly found: ReadonlyMap<string, Live>;
  /** The rows' axis of each output. */
  readonly axes: ReadonlyMap<string, number>;
  /** By output how its rows depend on their length; empty unless rows differ in length. */
  readonly outputLengths: ReadonlyMap<string, OutputLength>;
}

/** How one row of an output depends on its length; axes are counted without the rows' axis. */
export interface OutputLength {
  /** Axes that are as long as the row. */
  readonly follows: readonly number[];
  /** Whether another axis changes with the length in another way, or that could not be found out. */
  readonly varies: boolean;
}

/** `rowSpecs` follow the graph's inputs: the shape of one row each. Workers stay cold if `inferred` is given. */
export async function warmUpStages(
  stages: Stages,
  rowSpecs: readonly TensorSpec[],
  inferred: ReadonlyMap<string, Live> | null,
): Promise<AcrossCuts> {
  const { graph, plan } = stages;
  const { microBatch } = plan;
  // Before the full micro-batch, because replacements of lost workers are warmed up with the last probe.
  let other = needsOtherRows(graph) ? await lookAt(stages, rowSpecs, otherRows(microBatch)) : null;
  const found = inferred ?? (await probe(stages, rowSpecs, microBatch));
  if (!other && isDoubtful(graph, microBatch, found)) other = await lookAt(stages, rowSpecs, otherRows(microBatch));
  return { found, axes: outputAxesOf(graph, microBatch, found, other), outputLengths: new Map() };
}

/** The shapes for another number of rows; `null` if the model cannot compute it. */
async function lookAt(
  stages: Stages,
  rowSpecs: readonly TensorSpec[],
  rows: number,
): Promise<ReadonlyMap<string, Live> | null> {
  const inferred = await inferAll(stages, rowSpecs, rows);
  return inferred ?? probe(stages, rowSpecs, rows).catch(() => null);
}

/** Every worker computes `rows` rows of zeros; returns the tensors at each cut. */
export async function probe(
  { graph, plan, passes, pools }: Stages,
  rowSpecs: readonly TensorSpec[],
  rows: number,
): Promise<Map<string, Live>> {
  const inputs = zeroFeeds(graph, rowSpecs, rows);
  const found = new Map(graph.inputs.map(({ name }, n) => [name, inputs[n]!]));
  for (const { stages: replicas } of replicaGroupsOf(plan.stages)) {
    const [first, ...others] = replicas;
    for (const slice of passes[first!]!) {
      const read = slice.inputs.map((name) => found.get(name)!);
      const { outputs } = await pools[first!]!.probe(keyOf(slice), read);
      // All replicas are warmed up; the shapes are the same in each.
      for (const j of others) await pools[j]!.probe(keyOf(slice), read);
      for (const [n, name] of slice.outputs.entries()) found.set(name, outputs[n]!);
    }
  }
  return found;
}

/** Whether rows of these shapes fit where `largest` fit. */
export function fits(rowSpecs: readonly TensorSpec[], largest: readonly TensorSpec[]): boolean {
  return rowSpecs.every(({ shape }, n) => {
    const largestShape = largest[n]!.shape;
    return shape.length === largestShape.length && shape.every((dim, axis) => dim! <= largestShape[axis]!);
  });
}

export function sameShapes(a: readonly TensorSpec[], b: readonly TensorSpec[]): boolean {
  return JSON.stringify(a.map(({ shape }) => shape)) === JSON.stringify(b.map(({ shape }) => shape));
}
