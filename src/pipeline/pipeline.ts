/** A pipeline: the loaded stages of one plan, warmed up and joined by an arena. */
import { Arena } from '../arena/arena.js';
import type { Joint } from '../arena/joint.js';
import { arenaBytes, type Layout, layOut, type Resident } from '../arena/layout.js';
import { type Section, sectionsOf } from '../arena/turns.js';
import { isCpu } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { type Slice, slicesOf } from '../model/slice.js';
import { hasBudget, mebibytes } from '../plan/budget.js';
import { type Plan, poolOptionsOf } from '../plan/plan.js';
import { hasBeenClosed } from '../pool/closed.js';
import { checkDevice } from '../pool/device-truth.js';
import { closePools, openPools, type Pools } from '../pool/isolation.js';
import type { Pool } from '../pool/pool.js';
import { type Loaded, micros } from '../pool/protocol.js';
import type { Standby } from '../pool/standby.js';
import { type TensorSpec, zeroRows } from '../tensor.js';
import { Coordinator } from './coordinator.js';
import { type Foreseen, foreseeAll, type Live, startLoading } from './load.js';
import type { Feed, MicroBatch } from './micro-batch.js';
import { Relief } from './relief.js';
import { findApi, startRunSpan } from './telemetry.js';
import { Timeline } from './timeline.js';

export interface PipelineSettings {
  /** Let a stage that asked for a GPU run on what the engine found instead. */
  readonly allowFallback: boolean;
  /** Milliseconds that one micro-batch may take in one stage. */
  readonly deadline: number;
  /** Refuse to run once a stage's process has held more than its `memory`; default true. */
  readonly holdBudgets?: boolean;
  /** Pools that may be on their way already. */
  readonly standby?: Standby | null | undefined;
}

interface Warm {
  readonly arena: Arena;
  readonly coordinator: Coordinator;
  readonly relief: Relief;
  readonly rowSpecs: readonly TensorSpec[];
}

export class Pipeline {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  /** The stages that follow one another; those of one section stand beside each other. */
  readonly sections: readonly Section[];
  /** Of each stage. */
  readonly slices: readonly Slice[];
  /** What each stage's workers said after loading. */
  readonly loaded: readonly Loaded[];
  readonly #pools: readonly Pool[];
  readonly #holdBudgets: boolean;
  readonly #deadline: number;
  readonly #joint: Joint | null;
  readonly #foreseen: Foreseen | null;
  #warm: Warm | undefined;
  #timeline: Timeline;
  #running = false;
  #closed = false;

  private constructor(
    graph: ModelGraph,
    plan: Plan,
    slices: readonly Slice[],
    { pools, joint }: Pools,
    loaded: readonly Loaded[],
    foreseen: Foreseen | null,
    { holdBudgets = true, deadline }: PipelineSettings,
  ) {
    this.graph = graph;
    this.plan = plan;
    this.slices = slices;
    this.sections = sectionsOf(plan.stages);
    this.#pools = pools;
    this.#holdBudgets = holdBudgets;
    this.#deadline = deadline;
    this.#joint = joint;
    this.loaded = loaded;
    this.#foreseen = foreseen;
    this.#timeline = this.#newTimeline();
  }

  /**
   * Starts the pools and loads the slices. With `foresee`, the shape of one row for each input, the stage that is loaded first tells what all
   * would give of them while others still load. Throws coded errors; nothing is left running then.
   */
  static async open(
    graph: ModelGraph,
    plan: Plan,
    settings: PipelineSettings,
    foresee?: readonly TensorSpec[],
  ): Promise<Pipeline> {
    const sections = sectionsOf(plan.stages);
    const cuts = sections.slice(1).map(({ stages: [first] }) => plan.stages[first!]!.ops.from);
    const slices = slicesOf(graph, cuts).flatMap((slice, n) => sections[n]!.stages.map(() => slice));
    const options = poolOptionsOf(plan.stages, settings);
    const opened = await (settings.standby?.take(plan.isolation, options) ?? openPools(plan.isolation, options));
    try {
      const loading = startLoading(plan, opened.pools, slices);
      void findApi();
      const foreseeing = foresee && foreseeAll({ graph, plan, slices, pools: opened.pools }, foresee, loading);
      foreseeing?.catch(() => {});
      const loaded = await Promise.all(loading);
      if (!settings.allowFallback) {
        for (const [j, pool] of opened.pools.entries()) checkDevice(`stage ${j}`, pool.options, loaded[j]!);
      }
      const found = await foreseeing;
      const foreseen = found && foresee ? { rowSpecs: foresee, found } : null;
      return new Pipeline(graph, plan, slices, opened, loaded, foreseen, settings);
    } catch (error) {
      await closePools(opened);
      throw error;
    }
  }

  /** Opens and warms up, without computing where `compute` is false and engines can foresee. Errors as of both; nothing is left running then. */
  static async openWarm(
    graph: ModelGraph,
    plan: Plan,
    rowSpecs: readonly TensorSpec[],
    settings: PipelineSettings,
    { compute = true } = {},
  ): Promise<Pipeline> {
    const pipeline = await Pipeline.open(graph, plan, settings, compute ? undefined : rowSpecs);
    try {
      await pipeline.warmUp(rowSpecs);
      return pipeline;
    } catch (error) {
      await pipeline.close();
      throw error;
    }
  }

  get arenaBytes(): number {
    return this.#warm?.arena.bytes ?? 0;
  }

  /** Rows that each stage computes at once, at most, since it ran out of memory; `null` for those that never did. */
  get rowsAtOnce(): readonly (number | null)[] {
    return this.#warm?.relief.rowsAtOnce ?? this.plan.stages.map(() => null);
  }

  /** Micro-batches on their way now. */
  get inFlight(): number {
    return this.#warm?.arena.inFlight ?? 0;
  }

  /** Bytes of one micro-batch that live across the cut before each stage; for the first these are the model's inputs. Empty before `warmUp`. */
  get liveBytes(): number[] {
    const regions = this.#warm?.arena.layout.regions;
    if (!regions) return [];
    return this.sections.flatMap(({ stages }, n) => {
      // Rows stay in the slot to the end; across the cut live only those that are still to be read.
      const read = new Set([...this.slices.slice(stages[0]).flatMap(({ inputs }) => inputs), ...this.graph.outputs]);
      const across = regions.filter(({ name, born }) => born < n && read.has(name));
      const bytes = across.reduce((sum, region) => sum + region.bytes, 0);
      return stages.map(() => bytes);
    });
  }

  /** What ran when in the newest run. */
  get timeline(): Timeline {
    return this.#timeline;
  }

  /**
   * Learns what lives across each cut and lays the arena out: by running a micro-batch of zeros through every worker, unless that has been
   * foreseen for these rows and no stage has a budget to prove; the first micro-batch then finds them cold.
   * `rowSpecs` follow the graph's inputs: the shape of one row each. Nothing is done when they have not changed.
   */
  async warmUp(rowSpecs: readonly TensorSpec[]): Promise<void> {
    if (this.#warm && sameShapes(this.#warm.rowSpecs, rowSpecs)) return;
    const { microBatch, depth, stages } = this.plan;
    if (this.#warm) await Promise.all(this.#pools.map((pool) => pool.detach()));
    this.#warm = undefined;
    const mustProve = this.#holdBudgets && hasBudget(stages);
    const foreseen = this.#foreseen && sameShapes(this.#foreseen.rowSpecs, rowSpecs) ? this.#foreseen.found : null;
    const found = (mustProve ? null : foreseen) ?? (await this.#probe(rowSpecs));
    for (const name of this.graph.outputs) checkRowsAxis(name, found.get(name)!, microBatch);

    const { sections } = this;
    const turns = sections.map(({ order }) => order);
    const layout = layOut(this.#residents(found), sections.length, depth, turns);
    const arena = this.#openArena(layout);
    for (const [n, { stages: own }] of sections.entries()) {
      for (const [turn, j] of own.entries()) await this.#pools[j]!.attach(n, arena, turn);
    }
    if (this.#holdBudgets) checkBudgets(this.plan, await this.peakRss());
    const { graph, plan, slices } = this;
    const relief = new Relief({ graph, plan, slices, pools: this.#pools, rowSpecs, deadline: this.#deadline });
    const coordinator = new Coordinator({
      arena,
      pools: this.#pools,
      sections,
      inputs: this.graph.inputs.map(({ name }) => name),
      outputs: this.graph.outputs,
      fixedRows: this.graph.fixedBatch,
      relief,
    });
    this.#warm = { arena, coordinator, relief, rowSpecs };
  }

  /** Micro-batches in the feed's order, counted from `first`; needs `warmUp` first. One run at a time. */
  async *run(feed: Feed, first = 0): AsyncGenerator<MicroBatch> {
    if (this.#closed) throw hasBeenClosed();
    if (!this.#warm) throw new TandemError('TANDEM_INTERNAL', 'the pipeline was run before it was warmed up');
    if (this.#running) {
      throw new TandemError('TANDEM_USAGE', 'the pipeline already runs; one run at a time', {
        remedy: 'finish or return() the first run, or open a second pipeline',
      });
    }
    this.#running = true;
    const span = await startRunSpan(this.plan);
    try {
      this.#timeline = this.#newTimeline();
      yield* this.#warm.coordinator.run(feed, this.#timeline, first);
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      span?.end(this.#timeline);
      this.#running = false;
    }
  }

  /** The most memory that each stage's own process has held resident, in bytes; `null` for stages without one. */
  async peakRss(): Promise<(number | null)[]> {
    const all = await Promise.all(this.#pools.map((pool) => pool.memory()));
    return all.map((memory) => memory?.peak ?? null);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#warm?.arena.close(hasBeenClosed());
    await closePools({ pools: this.#pools, joint: this.#joint });
  }

  #openArena(layout: Layout): Arena {
    return new Arena(layout, this.#joint?.clear(arenaBytes(layout)));
  }

  #newTimeline(): Timeline {
    const workers = this.plan.stages.map(({ workers }) => workers);
    return new Timeline(workers, micros(), this.sections);
  }

  async #probe(rowSpecs: readonly TensorSpec[]): Promise<Map<string, Live>> {
    const inputs = zeroRows(rowSpecs, this.plan.microBatch);
    const found = new Map(rowSpecs.map(({ name }, n) => [name, inputs[n]!]));
    for (const [j, slice] of this.slices.entries()) {
      const { outputs } = await this.#pools[j]!.probe(slice.inputs.map((name) => found.get(name)!));
      // Stages beside each other are all warmed up; the first of them says what comes out.
      if (this.plan.stages[j]!.beside) continue;
      for (const [n, name] of slice.outputs.entries()) found.set(name, outputs[n]!);
    }
    return found;
  }

  /** Every tensor that must lie in a slot, from the stage that makes it to the last that reads it. */
  #residents(found: ReadonlyMap<string, Live>): Resident[] {
    const sink = this.sections.length;
    const born = new Map(this.graph.inputs.map(({ name }) => [name, -1]));
    const last = new Map<string, number>();
    for (const [n, { stages }] of this.sections.entries()) {
      const { inputs, outputs } = this.slices[stages[0]!]!;
      for (const name of outputs) born.set(name, n);
      for (const name of [...inputs, ...outputs]) last.set(name, n);
    }
    for (const name of this.graph.outputs) last.set(name, sink);
    // The rows stand to the end, so that a micro-batch that fails can be run again from its start.
    for (const { name } of this.graph.inputs) last.set(name, sink);
    return [...born].map(([name, stage]) => {
      const { dtype, shape } = found.get(name)!;
      return { name, dtype, shape, born: stage, last: last.get(name)! };
    });
  }
}

/** What a stage really held while it was loaded and warmed up, against what it may. */
function checkBudgets({ stages }: Plan, peaks: readonly (number | null)[]): void {
  for (const [j, { memory, device }] of stages.entries()) {
    const peak = peaks[j];
    // What a card holds does not show in the process.
    if (!isCpu(device)) continue;
    if (memory === undefined || peak == null || peak <= memory) continue;
    throw new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `stage ${j} holds ${mebibytes(peak)} once it is warm and may hold ${mebibytes(memory)}`,
      { remedy: `give it memory=${mebibytes(peak)}, fewer layers, or a smaller --micro-batch` },
    );
  }
}

function checkRowsAxis(name: string, { shape }: Live, microBatch: number): void {
  if (shape[0] === microBatch) return;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `output ${name} is [${shape.join(', ')}] for ${microBatch} rows: its first axis does not follow the rows`,
    { remedy: 'a batch job needs one result per row; give the model an output whose axis 0 is the batch' },
  );
}

function sameShapes(a: readonly TensorSpec[], b: readonly TensorSpec[]): boolean {
  return JSON.stringify(a.map(({ shape }) => shape)) === JSON.stringify(b.map(({ shape }) => shape));
}
