/** The summary of a job, as `--json` prints it. Its fields are stable; `schema` changes if their meaning does. */

import { residentMemory } from '../machine/resident-memory.js';
import { weightBytes } from '../model/graph.js';
import type { CardWatched } from '../pipeline/card-watch.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { CutBy, Plan } from '../plan/plan.js';
import type { Preparing } from '../rows/preparing.js';
import { predict } from '../schedule/predict.js';
import { sum } from '../sums.js';
import { timeEstimateOf } from '../timeline/estimate.js';
import { type CardSummary, cardSummaries } from './card-summary.js';
import type { JobResult } from './job.js';

/** Bytes and seconds; shares are 0 … 1. */
export interface Summary {
  readonly schema: 1;
  /** Of the output; `rowsBefore` of them were computed by earlier runs. */
  readonly rows: number;
  readonly rowsBefore: number;
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** From the first row read to the last row written, without loading and warm-up. */
  readonly seconds: number;
  readonly loadSeconds: number;
  readonly rowsPerSecond: number;
  readonly microBatches: number;
  readonly microBatchRows: number;
  /** Whether a row's answer is the same whatever rows are in its micro-batch; `null` if it did not matter or is not known. */
  readonly batchInvariant: boolean | null;
  readonly depth: number;
  readonly isolation: 'thread' | 'process';
  readonly engine: string;
  readonly cutBy: CutBy;
  readonly stages: readonly StageSummary[];
  /** The cards that stages ran on, as their drivers reported them during the run; without those that report nothing. */
  readonly cards: readonly CardSummary[];
  /** The threads that prepared the rows (tokenised, decoded) ahead of the stages; `null` where nothing did. */
  readonly preparing: PreparingSummary | null;
  /** The share of all workers' time that was spent waiting; the prediction is by the stages' measured times. */
  readonly bubble: { readonly predicted: number; readonly measured: number };
  /** The rate of these stages if hops, reading and writing took no time. */
  readonly predicted: { readonly rowsPerSecond: number };
  /** The plan's estimate for this number of rows, if it was measured. */
  readonly planned: { readonly rowsPerSecond: number; readonly bubble: number } | null;
  readonly arenaBytes: number;
  /** Of all processes together. */
  readonly peakRssBytes: number;
  readonly stopped: boolean;
  readonly output: string | null;
  readonly errorsFile: string | null;
  readonly report: string | null;
  readonly trace: string | null;
}

export interface PreparingSummary {
  /** `tokenise texts`, `decode images`. */
  readonly what: string;
  readonly threads: number;
  /** That the stages left to them; 0: they shared the cores of the stages. */
  readonly cores: number;
  /** Rows that were prepared while the job ran, and before it, for its plan. */
  readonly rows: number;
  readonly rowsBefore: number;
  /** Of all threads, while the job ran. */
  readonly busySeconds: number;
  readonly utilisation: number;
}

export interface StageSummary {
  readonly stage: number;
  /** Whether it is a replica of the stage before it. `turns` is its share of each round of micro-batches. */
  readonly beside: boolean;
  readonly turns: number;
  readonly device: string;
  readonly provider: string;
  /** As the engine reports it, never as it was asked for. */
  readonly ranOn: string;
  readonly deviceName: string;
  readonly layers: { readonly from: number; readonly to: number; readonly of: number };
  readonly threads: number;
  readonly workers: number;
  readonly busySeconds: number;
  readonly waitSeconds: number;
  readonly utilisation: number;
  /** `null` if stages share one process, whose memory cannot be measured separately. */
  readonly peakRssBytes: number | null;
  /** The most rows that it computed at once after it ran out of memory; `null` if it never did. */
  readonly rowsAtOnce: number | null;
  /** Passes that it loaded while the job ran; 0 unless it rotates. */
  readonly loads: number;
  readonly loadingSeconds: number;
  readonly loadedBytes: number;
  readonly weightBytes: number;
}

/** Files that were written; `null` for those that were not. */
export type SummaryFiles = Pick<Summary, 'output' | 'errorsFile' | 'report' | 'trace'>;

export interface JobDone {
  readonly pipeline: Pipeline;
  readonly result: JobResult;
  readonly loadSeconds: number;
  readonly files: SummaryFiles;
  readonly preparing: Preparing | null;
  readonly cards: readonly CardWatched[];
}

export async function summarise({ pipeline, result, loadSeconds, files, preparing, cards }: JobDone): Promise<Summary> {
  const { plan, timeline, graph } = pipeline;
  const uses = timeline.uses();
  const peaks = await pipeline.peakRss();
  const stageTimes = uses.map(({ meanSeconds }, j) => ({ seconds: meanSeconds, workers: plan.stages[j]!.workers }));
  const ideal = predict(stageTimes, result.microBatches, plan.depth, pipeline.replicaGroups).seconds;
  return {
    schema: 1,
    rows: result.rows,
    rowsBefore: result.rowsBefore,
    failedRows: result.failedRows,
    nonFiniteRows: result.nonFiniteRows,
    seconds: result.seconds,
    loadSeconds,
    rowsPerSecond: perSecond(result.rows - result.rowsBefore, result.seconds),
    microBatches: result.microBatches,
    microBatchRows: plan.microBatch,
    batchInvariant: plan.batchInvariant ?? null,
    depth: plan.depth,
    isolation: plan.isolation,
    engine: plan.stages[0]!.engine,
    cutBy: plan.cutBy,
    stages: plan.stages.map(({ beside = false, turns = 1, device, provider, layers, threads, workers }, stage) => {
      const { ranOn, deviceName, weightBytes } = pipeline.loaded[stage]!;
      const { busySeconds, waitSeconds, utilisation, loads, loadingSeconds } = uses[stage]!;
      const loadedBytes = loads * rotatingBytes(pipeline, stage);
      const range = { ...layers, of: graph.layers.length };
      const rowsAtOnce = pipeline.rowsAtOnce[stage] ?? null;
      const measured = {
        busySeconds,
        waitSeconds,
        utilisation,
        peakRssBytes: peaks[stage] ?? null,
        rowsAtOnce,
        ...{ loads, loadingSeconds, loadedBytes },
        weightBytes,
      };
      return {
        stage,
        beside,
        turns,
        device,
        provider,
        ranOn,
        deviceName,
        layers: range,
        threads,
        workers,
        ...measured,
      };
    }),
    cards: cardSummaries(cards, pipeline),
    preparing: preparing && preparingSummary(preparing, plan, result.seconds),
    bubble: timeline.bubble(plan.depth),
    predicted: { rowsPerSecond: perSecond(result.rows - result.rowsBefore, ideal) },
    planned: plannedFor(plan, result.rows - result.rowsBefore),
    arenaBytes: pipeline.arenaBytes,
    peakRssBytes: peaks.reduce<number>((sum, peak) => sum + (peak ?? 0), residentMemory().peak),
    stopped: result.stopped,
    ...files,
  };
}

/** Mean bytes of the passes that the stage loads for each block. */
function rotatingBytes({ graph, plan }: Pipeline, stage: number): number {
  const { passes = [], resident = passes.length } = plan.stages[stage]!;
  const rotating = passes.slice(resident).map(({ from, to }) => weightBytes(graph, from, to));
  return rotating.length === 0 ? 0 : Math.round(sum(rotating) / rotating.length);
}

function preparingSummary({ what, threads, use }: Preparing, plan: Plan, seconds: number): PreparingSummary {
  const { rows, rowsBefore, busySeconds } = use;
  const utilisation = seconds > 0 ? Math.min(1, busySeconds / seconds / Math.max(1, threads)) : 0;
  return { what, threads, cores: plan.preparing?.cores ?? 0, rows, rowsBefore, busySeconds, utilisation };
}

/** For the number of rows that were done. */
function plannedFor(plan: Plan, rows: number): Summary['planned'] {
  const promised = timeEstimateOf(plan, rows);
  return promised && { rowsPerSecond: promised.rowsPerSecond, bubble: promised.bubble };
}

function perSecond(rows: number, seconds: number): number {
  return seconds > 0 ? rows / seconds : 0;
}
