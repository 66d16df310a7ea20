/** Relief: a stage that runs out of memory in the middle of a job computes fewer rows at once from then on. */
import { isCpu } from '../engine/registry.js';
import type { ModelGraph } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import { describe } from '../plan/make-plan.js';
import type { Plan } from '../plan/plan.js';
import type { Pool } from '../pool/pool.js';
import type { TensorSpec } from '../tensor.js';

export interface ReliefOptions {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  readonly slices: readonly Slice[];
  readonly pools: readonly Pool[];
  readonly rowSpecs: readonly TensorSpec[];
  /** Milliseconds. */
  readonly deadline: number;
}

/** Micro-batches keep their bounds, and so does what a journal says of them: only the stage itself divides them. */
export class Relief {
  readonly #options: ReliefOptions;
  readonly #rowsAtOnce: (number | null)[];
  #count = 0;

  constructor(options: ReliefOptions) {
    this.#options = options;
    this.#rowsAtOnce = options.plan.stages.map(() => null);
  }

  /** At most, by stage; `null` where it computes whole micro-batches. */
  get rowsAtOnce(): readonly (number | null)[] {
    return this.#rowsAtOnce;
  }

  /** How often it was given. */
  get count(): number {
    return this.#count;
  }

  /**
   * Loads the stage anew, to compute half a micro-batch at once, or less where its workers find no memory for that either. False when that
   * cannot be: it was done before, micro-batches are of one row, the model fixes their rows, or the stage has inputs or outputs that do not
   * follow the rows. Nothing may be in flight. Throws what loading throws.
   */
  async give(stage: number): Promise<boolean> {
    const { plan, pools, graph } = this.#options;
    const { microBatch } = plan;
    if (this.#rowsAtOnce[stage] !== null || microBatch === 1 || graph.fixedBatch !== null) return false;
    if (!(await this.#followsRows(stage))) return false;
    const half = Math.ceil(microBatch / 2);
    this.#rowsAtOnce[stage] = half;
    this.#count += 1;
    await pools[stage]!.divide(half);
    return true;
  }

  async #followsRows(stage: number): Promise<boolean> {
    const { graph, plan, slices, rowSpecs, deadline } = this.#options;
    const { stages, isolation } = plan;
    // Not on a card that is full.
    const where = stages.find(({ device }) => isCpu(device)) ?? stages[stage]!;
    const facts = await describe(graph, where, isolation, { rowSpecs, deadline });
    const { inputs, outputs } = slices[stage]!;
    return [...inputs, ...outputs].every((name) => facts?.get(name)?.shape[0] === null);
  }
}
