/** A pipeline: the loaded stages of one plan, warmed up and connected by an arena. */
import { Arena } from '../arena/arena.js';
import { arenaBytes, layOut } from '../arena/layout.js';
import type { ProcessLink } from '../arena/process-link.js';
import { type ReplicaGroup, replicaGroupsOf } from '../arena/replicas.js';
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import { hasBudget } from '../plan/budget.js';
import { type Plan, poolOptionsOf } from '../plan/plan.js';
import { hasBeenClosed } from '../pool/closed.js';
import { checkDevice } from '../pool/device-truth.js';
import { closePools, openPools, type Pools } from '../pool/isolation.js';
import type { Pool } from '../pool/pool.js';
import type { PreStarted } from '../pool/pre-started.js';
import { type Loaded, micros } from '../pool/protocol.js';
import type { Policy } from '../schedule/policy.js';
import type { TensorSpec } from '../tensor.js';
import { findApi, startRunSpan } from '../timeline/telemetry.js';
import { Timeline } from '../timeline/timeline.js';
import { CardMemory, type HeldOnCard } from './card-memory.js';
import { CardWatch } from './card-watch.js';
import { checkBudgets, checkCardBudgets } from './check-budgets.js';
import { Coordinator } from './coordinator.js';
import { liveBytesIn } from './live-bytes.js';
import { type Inferred, inferAll, type Stages, startLoading } from './load.js';
import type { Feed, MicroBatch } from './micro-batch.js';
import { OutOfMemorySplit } from './out-of-memory-split.js';
import { passesOf, policyOf, type Rounds, residentsOf, routeOf, slicesOfSteps } from './route-of-plan.js';
import { SlotEnds } from './slot-ends.js';
import type { Warm } from './warm.js';
import { type AcrossCuts, fits, sameShapes, warmUpStages } from './warm-up.js';
import { warmUpLengths } from './warm-up-lengths.js';

export interface PipelineSettings {
  /** Let a stage that asked for a GPU run on the device that the engine chose instead. */
  readonly allowFallback: boolean;
  /** Milliseconds that one micro-batch may take in one stage. */
  readonly deadlineMs: number;
  /** Refuse to run if a stage's process has held more than its `memory`; default true. */
  readonly holdBudgets?: boolean;
  /** Pools that may have been started before. */
  readonly preStarted?: PreStarted | null | undefined;
  /** Set if micro-batches may go through all stages more than once. */
  readonly rounds?: Rounds | undefined;
  /** The order in which workers take READY slots; default that of the plan. */
  readonly policy?: Policy | undefined;
}

export class Pipeline {
  readonly graph: ModelGraph;
  /** Replaced when more becomes known about it. */
  plan: Plan;
  /** The stages in sequence; replicas of one stage form a group. */
  readonly replicaGroups: readonly ReplicaGroup[];
  /** The slices of each stage, in the order of computing. */
  readonly passes: readonly (readonly Slice[])[];
  /** What each stage's workers reported after loading. */
  readonly loaded: readonly Loaded[];
  readonly #pools: readonly Pool[];
  readonly #cardMemory: CardMemory;
  readonly #settings: PipelineSettings;
  readonly #processLink: ProcessLink | null;
  #inferred: Inferred | null;
  #warm: Warm | undefined;
  #timeline: Timeline;
  #running = false;
  #closing: Promise<void> | undefined;

  private constructor(
    graph: ModelGraph,
    plan: Plan,
    passes: readonly (readonly Slice[])[],
    { pools, processLink }: Pools,
    loaded: readonly Loaded[],
    inferred: Inferred | null,
    settings: PipelineSettings,
    cardMemory: CardMemory,
  ) {
    this.#cardMemory = cardMemory;
    this.graph = graph;
    this.plan = plan;
    this.passes = passes;
    this.replicaGroups = replicaGroupsOf(plan.stages);
    this.#pools = pools;
    this.#settings = settings;
    this.#processLink = processLink;
    this.loaded = loaded;
    this.#inferred = inferred;
    this.#timeline = this.#newTimeline();
  }

  /**
   * Starts the pools and loads the slices. `infer` is the shape of one row for each input: if given, the stage that is loaded first infers
   * the shapes across all cuts while others still load. On an error (always coded) nothing is left running.
   */
  static async open(
    graph: ModelGraph,
    plan: Plan,
    settings: PipelineSettings,
    infer?: readonly TensorSpec[],
  ): Promise<Pipeline> {
    const passes = passesOf(graph, plan);
    const options = poolOptionsOf(plan.stages, settings);
    const cardMemory = new CardMemory(plan);
    const opened = await (settings.preStarted?.take(plan.isolation, options) ?? openPools(plan.isolation, options));
    try {
      const stages = { graph, plan, passes, pools: opened.pools };
      const loading = startLoading(stages);
      void findApi();
      const inferring = infer && inferAll(stages, infer, plan.microBatch, loading);
      inferring?.catch(() => {});
      const loaded = await Promise.all(loading);
      if (!settings.allowFallback) {
        for (const [j, pool] of opened.pools.entries()) checkDevice(`stage ${j}`, pool.options, loaded[j]!);
      }
      const found = await inferring;
      const inferred = found && infer ? { rowSpecs: infer, found } : null;
      return new Pipeline(graph, plan, passes, opened, loaded, inferred, settings, cardMemory);
    } catch (error) {
      await closePools(opened);
      throw error;
    }
  }

  /** Opens and warms up; without computing if `compute` is false and engines can infer shapes. Errors as of `open` and `warmUp`. */
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

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  get arenaBytes(): number {
    return this.#warm?.arena.bytes ?? 0;
  }

  /** By stage, the most rows of a sub-batch since it ran out of memory; `null` if it never did. */
  get rowsAtOnce(): readonly (number | null)[] {
    return this.#pools.map(({ rowsAtOnce }) => rowsAtOnce);
  }

  /** Micro-batches in flight now. */
  get inFlight(): number {
    return this.#warm?.arena.inFlight ?? 0;
  }

  /** Bytes of a micro-batch at the cut before each stage; for the first these are the model's inputs. Empty before `warmUp`. */
  get liveBytes(): number[] {
    const layout = this.#warm?.arena.layout;
    return layout ? liveBytesIn(layout, this.graph, slicesOfSteps(this.plan, this.passes), this.replicaGroups) : [];
  }

  /** The timeline of the newest run. */
  get timeline(): Timeline {
    return this.#timeline;
  }

  /**
   * Finds the live tensors at each cut and lays out the arena, by running a micro-batch of zeros through every worker. If the shapes have been
   * inferred for these rows and no stage has a budget to check, workers stay cold until the first micro-batch.
   * `rowSpecs` follow the graph's inputs: the shape of one row each. If the rows before were at least as large in every
   * dimension, nothing is done, since these fit into the slots. If the plan has `lengths`, `rowSpecs` is the longest row and `openSpecs` has
   * `null` for the ragged dimensions: there is room for every micro-batch of the plan then.
   */
  async warmUp(rowSpecs: readonly TensorSpec[], openSpecs?: readonly TensorSpec[]): Promise<void> {
    if (this.#warm && fits(rowSpecs, this.#warm.largest)) {
      this.#warm = { ...this.#warm, rowSpecs };
      return;
    }
    const { holdBudgets = true, deadlineMs, rounds } = this.#settings;
    await this.#cool();
    const mustCompute = holdBudgets && hasBudget(this.plan.stages);
    const inferred = this.#inferred && sameShapes(this.#inferred.rowSpecs, rowSpecs) ? this.#inferred.found : null;
    const across = openSpecs
      ? await warmUpLengths(this.#stages, { longestSpecs: rowSpecs, openSpecs, mustCompute })
      : await warmUpStages(this.#stages, rowSpecs, mustCompute ? null : inferred);
    const { found, axes } = across;
    const { graph, plan, passes } = this;
    const route = routeOf(plan, passes, rounds);
    const layout = layOut(residentsOf(graph, slicesOfSteps(plan, passes), found, route), route, plan.depth);
    const arena = new Arena(layout, this.#processLink?.clear(arenaBytes(layout)));
    for (const [j, pool] of this.#pools.entries()) await pool.attach(arena, j);
    if (holdBudgets) {
      checkBudgets(this.plan.stages, await this.peakRss());
      checkCardBudgets(this.plan, this.heldOnCards());
    }
    const outOfMemorySplit = new OutOfMemorySplit({ ...this.#stages, rowSpecs, deadlineMs });
    const ends = new SlotEnds(arena, graph, axes);
    const policy = this.#settings.policy ?? policyOf(plan, route);
    const block = plan.block ?? 1;
    const coordinator = new Coordinator({ arena, pools: this.#pools, ends, policy, block, outOfMemorySplit });
    this.#warm = { arena, coordinator, outOfMemorySplit, largest: rowSpecs, rowSpecs, across };
  }

  /** What the arena is laid out from; `null` before `warmUp`. */
  get across(): AcrossCuts | null {
    return this.#warm?.across ?? null;
  }

  /**
   * Continues with `plan`, which has the same stages. If its micro-batch or depth differs, slots are laid out again, and every worker
   * computes a micro-batch of zeros of the new size. Specs as of `warmUp`, by default those of before. Not during a run.
   */
  async adopt(plan: Plan, rowSpecs = this.#warm?.largest, openSpecs?: readonly TensorSpec[]): Promise<void> {
    const { microBatch, depth, lengths } = this.plan;
    this.plan = plan;
    const keepsSlots =
      plan.microBatch === microBatch && plan.depth === depth && Boolean(lengths) === Boolean(plan.lengths);
    if (keepsSlots && !openSpecs) return;
    await this.#cool();
    // It was inferred for the old micro-batch.
    this.#inferred = null;
    if (rowSpecs) await this.warmUp(rowSpecs, openSpecs);
  }

  /** Micro-batches in the feed's order, counted from `first`; needs `warmUp` first. One run at a time. `goesOn`: with the timeline of the run before. */
  async *run(feed: Feed, first = 0, goesOn = false): AsyncGenerator<MicroBatch> {
    if (this.isClosed) throw hasBeenClosed();
    if (!this.#warm) throw new TandemError('TANDEM_INTERNAL', 'the pipeline was run before it was warmed up');
    if (this.#running) {
      throw new TandemError('TANDEM_USAGE', 'the pipeline already runs; one run at a time', {
        remedy: 'finish or return() the first run, or open a second pipeline',
      });
    }
    this.#running = true;
    const span = await startRunSpan(this.plan);
    try {
      if (!goesOn) this.#timeline = this.#newTimeline();
      const { coordinator, rowSpecs } = this.#warm;
      const byName = new Map(rowSpecs.map(({ name, shape }) => [name, shape as readonly number[]]));
      const rowShapes = fedInputs(this.graph).map(({ name }) => byName.get(name)!);
      yield* coordinator.run(feed, this.#timeline, first, rowShapes);
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      span?.end(this.#timeline);
      this.#running = false;
    }
  }

  /** What the stages hold on cards now, as their drivers report it. */
  heldOnCards(): HeldOnCard[] {
    return this.#cardMemory.held(this.#pools.map(({ pid }) => pid));
  }

  /** Watches the cards of its stages from now on. */
  watchCards(): CardWatch {
    return new CardWatch({ plan: this.plan, pids: () => this.#pools.map(({ pid }) => pid) });
  }

  /** By stage, the peak resident memory of its own process, in bytes; `null` for stages without one. */
  async peakRss(): Promise<(number | null)[]> {
    const all = await Promise.all(this.#pools.map((pool) => pool.memory()));
    return all.map((memory) => memory?.peak ?? null);
  }

  /** Ends all stages. Later calls return the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#warm?.arena.close(hasBeenClosed());
    await closePools({ pools: this.#pools, processLink: this.#processLink });
  }

  #newTimeline(): Timeline {
    const workers = this.plan.stages.map(({ workers }) => workers);
    return new Timeline(workers, micros(), this.replicaGroups);
  }

  get #stages(): Stages {
    return { graph: this.graph, plan: this.plan, passes: this.passes, pools: this.#pools };
  }

  /** Detaches the workers from the slots; the next `warmUp` lays them out again. */
  async #cool(): Promise<void> {
    if (this.#warm) await Promise.all(this.#pools.map((pool) => pool.detach()));
    this.#warm = undefined;
  }
}
