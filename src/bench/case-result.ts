/** Summarises the samples of a case: medians, spread, overlap. */
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { median } from '../planner/measure/median.js';
import type { Trial } from '../planner/trial/trial.js';
import type { Workload } from '../planner/trial/workload.js';
import { predict } from '../schedule/predict.js';
import { sum } from '../sums.js';
import { flagsOf } from './flags.js';
import type { CaseResult, Overlap, StageResult } from './result.js';
import type { Sample } from './sample.js';
import { ratioOf, spread } from './statistics.js';

/** A trial on one workload, as often as it was run. */
export interface MeasuredCase {
  readonly name: string;
  readonly kind: CaseResult['kind'];
  readonly trial: Trial;
  readonly workload: Workload;
  readonly samples: readonly Sample[];
}

/** `first` is the baseline of this case, measured in the same rounds. */
export async function caseResult(
  { name, kind, trial, workload, samples }: MeasuredCase,
  first: Pick<MeasuredCase, 'samples'>,
): Promise<CaseResult> {
  const { pipeline } = trial;
  const { plan, graph } = pipeline;
  const rates = ratesOf(samples);
  const peaks = await pipeline.peakRss();
  return {
    name,
    kind,
    flags: flagsOf(plan, workload),
    microBatch: workload.microBatch,
    depth: workload.depth,
    isolation: plan.isolation,
    rows: workload.rows,
    rowsPerSecond: median(rates),
    spread: spread(rates),
    toFirst: ratioOf(rates, ratesOf(first.samples)),
    repetitions: rates,
    loadSeconds: trial.loadSeconds,
    stages: plan.stages.map((_, j) => stageResult(trial, workload, samples, peaks, j)),
    efficiency: median(samples.map(({ idealSeconds, seconds }) => idealSeconds / seconds)),
    bubble: {
      predicted: median(samples.map(({ bubble }) => bubble.predicted)),
      measured: median(samples.map(({ bubble }) => bubble.measured)),
    },
    coordinatorSeconds: median(samples.map(({ coordinator }) => coordinator.mean)) / 1e6,
    coordinatorOwnSeconds: median(samples.map(({ coordinator }) => coordinator.own)) / 1e6,
    copySeconds: median(samples.map(({ coordinator }) => coordinator.copy)) / 1e6,
    // The arena is laid out for the largest micro-batch and depth of the sweep; this workload uses a share of it.
    arenaBytes: (pipeline.arenaBytes * workload.microBatch * workload.depth) / (plan.microBatch * plan.depth),
    weightBytes: plan.stages.reduce(
      (sum, { ops, workers }) => sum + Math.min(workers, workload.depth) * weightBytes(graph, ops.from, ops.to),
      0,
    ),
    peakRssBytes: peaks.some((peak) => peak === null) ? null : peaks.reduce<number>((sum, peak) => sum + peak!, 0),
  };
}

/** Rows a second of each repetition. */
export function ratesOf(samples: readonly Sample[]): number[] {
  return samples.map(({ rows, seconds }) => rows / seconds);
}

function stageResult(
  { pipeline }: Trial,
  { microBatch, rows }: Workload,
  samples: readonly Sample[],
  peaks: readonly (number | null)[],
  j: number,
): StageResult {
  const { device, provider, layers, threads, workers } = pipeline.plan.stages[j]!;
  const { ranOn, weightBytes } = pipeline.loaded[j]!;
  const seconds = median(samples.map(({ stageSeconds }) => stageSeconds[j]!));
  const busy = median(
    samples.map((sample) => (sample.stageSeconds[j]! * rows) / microBatch / workers / sample.seconds),
  );
  return {
    device,
    provider,
    ranOn,
    layers: { from: layers.from, to: layers.to },
    threads,
    workers,
    seconds,
    utilisation: Math.min(1, busy),
    weightBytes,
    peakRssBytes: peaks[j] ?? null,
    liveBytes: j === 0 ? 0 : (pipeline.liveBytes[j]! * microBatch) / pipeline.plan.microBatch,
    hopSeconds: j === 0 ? 0 : median(samples.map(({ hopSeconds }) => hopSeconds[j - 1]!)),
  };
}

/** What a split gains by overlap. Both cases must be the same slices over the same rows, measured in the same rounds. */
export function overlapOf(sequential: CaseResult, pipelined: CaseResult): Overlap {
  const alone = sequential.stages.map(({ seconds }) => seconds);
  const together = pipelined.stages.map(({ seconds }) => seconds);
  const perWorker = sequential.stages.map(({ seconds, workers }) => seconds / workers);
  const m = Math.ceil(pipelined.rows / pipelined.microBatch);
  const times = sequential.stages.map(({ seconds, workers }) => ({ seconds, workers }));
  return {
    sequential: sequential.name,
    pipelined: pipelined.name,
    speedUp: ratioOf(pipelined.repetitions, sequential.repetitions).median,
    limit: sum(alone) / Math.max(...perWorker),
    idealSpeedUp: (m * sum(alone)) / predict(times, m, pipelined.depth).seconds,
    contention: sum(together) / sum(alone),
  };
}

/** The graph's weights, each once. */
export function modelBytes(graph: ModelGraph): number {
  return weightBytes(graph, 0, graph.ops.length);
}
