/** A sample: the measurements of one run of a trial, of the pipeline, its stages, and the coordinator's thread. */

import type { Pipeline } from '../pipeline/pipeline.js';
import { steadyRateOf, type Trial } from '../planner/trial/trial.js';
import type { Workload } from '../planner/trial/workload.js';
import { predict } from '../schedule/predict.js';
import type { Span } from '../timeline/spans.js';
import { type CoordinatorCost, CoordinatorLedger } from './coordinator-ledger.js';
import { hopOf } from './hop.js';

/** Seconds are of one micro-batch unless another unit is named. */
export interface Sample {
  readonly rows: number;
  /** From the first row fed to the last one out. */
  readonly seconds: number;
  /** Rows a second between the first micro-batch's end and the last one's: the rate of a long job. */
  readonly steadyRate: number;
  /** Mean of each stage. */
  readonly stageSeconds: readonly number[];
  /** Seconds of the whole run by the stages' own times, if nothing else took time. */
  readonly idealSeconds: number;
  readonly bubble: { readonly predicted: number; readonly measured: number };
  /** For each stage but the first: median seconds that a micro-batch was ready while a worker was free. */
  readonly hopSeconds: readonly number[];
  readonly coordinator: CoordinatorCost;
}

/** Runs a workload and returns its measurements. */
export async function takeSample(trial: Trial, workload: Workload): Promise<Sample> {
  const { pipeline } = trial;
  const ledger = new CoordinatorLedger();
  const { microBatches, seconds, copyMicros } = await trial.run(workload, (copied) => ledger.enter(copied));
  return {
    rows: workload.rows,
    seconds,
    steadyRate: steadyRateOf(trial.lastSpans, workload.rows) ?? workload.rows / seconds,
    ...stagesOf(pipeline, microBatches, workload.depth),
    coordinator: ledger.close(copyMicros, pipeline.plan.stages.length),
  };
}

function stagesOf(
  { timeline, plan, replicaGroups }: Pipeline,
  m: number,
  depth: number,
): Pick<Sample, 'stageSeconds' | 'idealSeconds' | 'bubble' | 'hopSeconds'> {
  const stageSeconds = timeline.uses().map(({ meanSeconds }) => meanSeconds);
  const times = stageSeconds.map((seconds, j) => ({ seconds, workers: plan.stages[j]!.workers }));
  const { spans } = timeline;
  return {
    stageSeconds,
    idealSeconds: predict(times, m, depth, replicaGroups, ownTimes(spans, m, stageSeconds)).seconds,
    bubble: timeline.bubble(depth),
    hopSeconds: plan.stages.slice(1).map(({ workers }, j) => hopOf(spans, j + 1, workers)),
  };
}

/** The seconds of each micro-batch in each stage; the stage's mean if its span was not kept. */
function ownTimes(
  spans: readonly Span[],
  m: number,
  means: readonly number[],
): (stage: number, microBatch: number) => number {
  const seconds = means.map((mean) => new Array<number>(m).fill(mean));
  for (const { stage, microBatch, acceptedAt, finishedAt } of spans)
    seconds[stage]![microBatch] = (finishedAt - acceptedAt) / 1e6;
  return (stage, microBatch) => seconds[stage]![microBatch]!;
}
