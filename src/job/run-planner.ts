/** Plans and loads a run: by a plan file, by an estimate, or by measuring as far as that pays; a pipeline that was loaded for a trial is used for the run. */

import type { ModelGraph } from '../model/graph.js';
import { PLANNED_HERE } from '../output/fingerprint.js';
import { Pipeline, type PipelineSettings } from '../pipeline/pipeline.js';
import { mayRotate } from '../plan/check-rotation.js';
import { isSettled, type Plan } from '../plan/plan.js';
import type { Planned } from '../planner/learn-from-run.js';
import { makePlan } from '../planner/make-plan.js';
import { type Beside, planBeside } from '../planner/plan-beside.js';
import type { JobPlan } from '../planner/plan-job.js';
import type { PlanRequest } from '../planner/request.js';
import type { Planning } from '../planner/settle-rows.js';
import type { Source } from '../rows/source.js';
import type { TensorSpec } from '../tensor.js';
import type { RunListener } from './run-listener.js';
import type { RunRequest } from './run-request.js';

/** The origin of a plan that was made for this run; the run's times are stored with it. */
export type RunPlanned = Planned & { readonly loadSeconds: number };

interface Options {
  readonly graph: ModelGraph;
  /** The rows that it plans for. */
  readonly source: Pick<Source, 'rowSpecs' | 'rows' | 'rowsAbout'>;
  readonly request: RunRequest;
  readonly beside: Omit<Beside, 'mayReserve'>;
  readonly settings: PipelineSettings;
  readonly listener: RunListener;
}

export class RunPlanner implements Planning {
  readonly #options: Options;
  #found: JobPlan | null = null;
  #asked: PlanRequest | null = null;
  #loadSeconds = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Why no more was measured; `null` if all was, or none was asked for. */
  get why(): string | null {
    return this.#found?.why ?? null;
  }

  get planned(): RunPlanned | undefined {
    if (!this.#found) return undefined;
    return { ...this.#asked!, effort: this.#found.effort, loadSeconds: this.#loadSeconds };
  }

  async plan(microBatch: number | undefined): Promise<Plan> {
    const { beside, request } = this.#options;
    return planBeside({ ...beside, mayReserve: !request.stages?.length }, () => this.#planStages(microBatch));
  }

  async #planStages(microBatch: number | undefined): Promise<Plan> {
    const { graph, source, request, settings, listener } = this.#options;
    listener.onStep?.('planning …');
    await this.close();
    const { plan: how = 'auto', stages, depth, isolation } = request;
    const { rowSpecs, rows: counted, rowsAbout = null } = source;
    const rows = counted ?? rowsAbout;
    const asked = { stages, microBatch, depth, isolation, rowSpecs, rows, deadlineMs: settings.deadlineMs };
    if (!PLANNED_HERE.has(how)) return (await import('../plan/plan-file.js')).readPlanFile(how, graph);
    // Which layers rotate follows from measurements alone.
    if ((how === 'quick' && !mayRotate(stages)) || isSettled(graph, stages)) return makePlan(graph, asked);
    // Measuring needs the machine for itself.
    await settings.preStarted?.close();
    const { planJob } = await import('../planner/plan-job.js');
    const { allowFallback } = settings;
    this.#asked = asked;
    this.#found = await planJob(graph, {
      ...asked,
      allowFallback,
      onProgress: listener.onStep,
      onCaution: listener.onNotice,
    });
    return this.#found.plan;
  }

  async open(plan: Plan): Promise<Pipeline> {
    const { graph, source, settings, listener } = this.#options;
    const trial = this.#found?.trial;
    if (trial && !trial.closed) {
      this.#loadSeconds = trial.loadSeconds;
      const pipeline = trial.release();
      await pipeline.adopt(plan);
      return pipeline;
    }
    listener.onStep?.('loading …');
    const begun = performance.now();
    const pipeline = await Pipeline.openWarm(graph, plan, source.rowSpecs, settings, { compute: false });
    this.#loadSeconds = (performance.now() - begun) / 1e3;
    return pipeline;
  }

  /** As of `Pipeline.warmUp`, for rows that differ in length. */
  async openLengths(
    plan: Plan,
    longestSpecs: readonly TensorSpec[],
    openSpecs: readonly TensorSpec[],
  ): Promise<Pipeline> {
    const { graph, settings, listener } = this.#options;
    const trial = this.#found?.trial;
    if (trial && !trial.closed) {
      this.#loadSeconds = trial.loadSeconds;
      const pipeline = trial.release();
      await pipeline.adopt(plan, longestSpecs, openSpecs);
      return pipeline;
    }
    listener.onStep?.('loading …');
    const begun = performance.now();
    const pipeline = await Pipeline.open(graph, plan, settings);
    try {
      await pipeline.warmUp(longestSpecs, openSpecs);
    } catch (error) {
      await pipeline.close();
      throw error;
    }
    this.#loadSeconds = (performance.now() - begun) / 1e3;
    return pipeline;
  }

  /** Closes a pipeline that was loaded for a trial and is not used for the run. */
  async close(): Promise<void> {
    await this.#found?.trial?.close();
    this.#found = null;
  }
}
