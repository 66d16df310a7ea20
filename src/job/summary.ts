/** The summary of a job: what `--json` prints; its fields are stable, and `schema` changes when their meaning does. */
import type { Pipeline } from '../pipeline/pipeline.js';
import { promiseOf } from '../pipeline/promise.js';
import { predict } from '../pipeline/schedule.js';
import type { CutBy, Plan } from '../plan/plan.js';
import type { JobResult } from './job.js';

/** Bytes and seconds; shares are 0 … 1. */
export interface Summary {
  readonly schema: 1;
  /** Of the output; `rowsBefore` of them are the work of earlier runs. */
  readonly rows: number;
  readonly rowsBefore: number;
  readonly failedRows: number;
  /** From the first row read to the last row written; loading and warm-up apart. */
  readonly seconds: number;
  readonly loadSeconds: number;
  readonly rowsPerSecond: number;
  readonly microBatches: number;
  readonly microBatchRows: number;
  readonly depth: number;
  readonly isolation: 'thread' | 'process';
  readonly engine: string;
  readonly cutBy: CutBy;
  readonly stages: readonly StageSummary[];
  /** The share of all workers' time that was spent waiting; predicted from the stages' own measured times. */
  readonly bubble: { readonly predicted: number; readonly measured: number };
  /** What these stages would give if hops, reading and writing took no time. */
  readonly predicted: { readonly rowsPerSecond: number };
  /** What the plan promised for so many rows, where it was measured. */
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

export interface StageSummary {
  readonly stage: number;
  /** Whether it computes the same layers as the stage before it, in turn with it; then `turns` of each round are its own. */
  readonly beside: boolean;
  readonly turns: number;
  readonly device: string;
  readonly provider: string;
  /** Found by asking the engine, never the flag. */
  readonly ranOn: string;
  readonly deviceName: string;
  readonly layers: { readonly from: number; readonly to: number; readonly of: number };
  readonly threads: number;
  readonly workers: number;
  readonly busySeconds: number;
  readonly waitSeconds: number;
  readonly utilisation: number;
  /** `null` where stages share one process, whose memory cannot be told apart. */
  readonly peakRssBytes: number | null;
  /** Rows that it computed at once, at most, since it ran out of memory; `null` where it never did. */
  readonly rowsAtOnce: number | null;
  readonly weightBytes: number;
}

/** Files that were written; `null` for those that were not. */
export type SummaryFiles = Pick<Summary, 'output' | 'errorsFile' | 'report' | 'trace'>;

export async function summarise(
  pipeline: Pipeline,
  result: JobResult,
  loadSeconds: number,
  files: SummaryFiles,
): Promise<Summary> {
  const { plan, timeline, graph } = pipeline;
  const uses = timeline.uses();
  const peaks = await pipeline.peakRss();
  const stageTimes = uses.map(({ meanSeconds }, j) => ({ seconds: meanSeconds, workers: plan.stages[j]!.workers }));
  const ideal = predict(stageTimes, result.microBatches, plan.depth, pipeline.sections).seconds;
  return {
    schema: 1,
    rows: result.rows,
    rowsBefore: result.rowsBefore,
    failedRows: result.failedRows,
    seconds: result.seconds,
    loadSeconds,
    rowsPerSecond: perSecond(result.rows - result.rowsBefore, result.seconds),
    microBatches: result.microBatches,
    microBatchRows: plan.microBatch,
    depth: plan.depth,
    isolation: plan.isolation,
    engine: plan.stages[0]!.engine,
    cutBy: plan.cutBy,
    stages: plan.stages.map(({ beside = false, turns = 1, device, provider, layers, threads, workers }, stage) => {
      const { ranOn, deviceName, weightBytes } = pipeline.loaded[stage]!;
      const { busySeconds, waitSeconds, utilisation } = uses[stage]!;
      const range = { ...layers, of: graph.layers.length };
      const rowsAtOnce = pipeline.rowsAtOnce[stage] ?? null;
      const measured = {
        busySeconds,
        waitSeconds,
        utilisation,
        peakRssBytes: peaks[stage] ?? null,
        rowsAtOnce,
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
    bubble: timeline.bubble(plan.depth),
    predicted: { rowsPerSecond: perSecond(result.rows - result.rowsBefore, ideal) },
    planned: plannedFor(plan, result.rows - result.rowsBefore),
    arenaBytes: pipeline.arenaBytes,
    peakRssBytes: peaks.reduce<number>((sum, peak) => sum + (peak ?? 0), process.resourceUsage().maxRSS * 1024),
    stopped: result.stopped,
    ...files,
  };
}

/** For as many rows as were done. */
function plannedFor(plan: Plan, rows: number): Summary['planned'] {
  const promised = promiseOf(plan, rows);
  return promised && { rowsPerSecond: promised.rowsPerSecond, bubble: promised.bubble };
}

function perSecond(rows: number, seconds: number): number {
  return seconds > 0 ? rows / seconds : 0;
}
