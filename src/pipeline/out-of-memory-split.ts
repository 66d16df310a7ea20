/** Out-of-memory split: a stage that runs out of memory during a job computes smaller sub-batches from then on. */
import { isCpu } from '../engine/device.js';
import type { Parts } from '../engine/in-parts.js';
import { inputAxis } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { rowsAxisIn } from '../model/move-rows.js';
import type { Slice } from '../model/slice.js';
import type { Plan } from '../plan/plan.js';
import { describe } from '../pool/describe.js';
import type { Pool } from '../pool/pool.js';
import type { TensorSpec } from '../tensor.js';

export interface OutOfMemorySplitOptions {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  /** By stage. */
  readonly passes: readonly (readonly Slice[])[];
  readonly pools: readonly Pool[];
  readonly rowSpecs: readonly TensorSpec[];
  /** Milliseconds. */
  readonly deadlineMs: number;
}

/** Micro-batches keep their bounds, also in the journal: only the stage itself divides them. */
export class OutOfMemorySplit {
  readonly #options: OutOfMemorySplitOptions;
  #count = 0;

  constructor(options: OutOfMemorySplitOptions) {
    this.#options = options;
  }

  /** How many stages were split. */
  get count(): number {
    return this.#count;
  }

  /**
   * Reloads the stage to compute sub-batches of half a micro-batch, or less if its workers have no memory for that either. False if it
   * cannot: it was split before, a micro-batch has one row, the model fixes the rows, or the rows' axis of an input or output of the
   * stage is not known. Nothing may be in flight. Throws what loading throws.
   */
  async split(stage: number): Promise<boolean> {
    const { plan, pools, graph } = this.#options;
    const { microBatch } = plan;
    const atOnce = pools[stage]!.rowsAtOnce ?? microBatch;
    if (atOnce < microBatch || microBatch === 1 || graph.fixedBatch !== null) return false;
    const parts = await this.#partsOf(stage, Math.ceil(microBatch / 2));
    if (!parts) return false;
    this.#count += 1;
    await pools[stage]!.divide(parts);
    return true;
  }

  /** By pass; `null` if one of them cannot be divided. */
  async #partsOf(stage: number, rows: number): Promise<Parts[] | null> {
    const { graph, plan, passes, rowSpecs, deadlineMs } = this.#options;
    const { stages, isolation } = plan;
    // On a CPU stage if there is one, since the card is full.
    const where = stages.find(({ device }) => isCpu(device)) ?? stages[stage]!;
    const facts = await describe(graph, where, isolation, { rowSpecs, deadlineMs });
    const axisOf = (name: string) => rowsAxisIn(facts?.get(name)?.shape ?? []);
    const isShared = (name: string) =>
      graph.inputs.some((input) => input.name === name) && inputAxis(graph, name) === null;
    const parts = passes[stage]!.map(({ inputs, outputs }): Parts | null => {
      const from = inputs.map(axisOf);
      const to = outputs.map(axisOf);
      if (from.some((axis, n) => axis === null && !isShared(inputs[n]!)) || to.includes(null)) return null;
      return { rows, inputs: from, outputs: to as number[] };
    });
    return parts.every((part) => part !== null) ? parts : null;
  }
}
