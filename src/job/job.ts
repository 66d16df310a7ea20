/** A job: the rows of a source through a pipeline into a sink, in input order, until the rows end or it is stopped. */
import { asTandemError } from '../errors.js';
import { microBatchesOf, type RowsDone, type Sink } from '../output/sink.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { SoundSource } from '../rows/audio/sound-source.js';
import { inOrder, type RowFailure, type Source } from '../rows/source.js';
import { checkErrors, type MaxErrors } from './max-errors.js';
import { type RowsRun, runRows } from './run-rows.js';
import { runStreams } from './streams/run-streams.js';
import { runWindows, type WindowedRows } from './windows/run-windows.js';

export interface JobOptions {
  readonly pipeline: Pipeline;
  readonly source: Source | WindowedRows;
  readonly sink: Sink;
  /** What earlier runs of the same job have written; the source begins after it. */
  readonly before?: Before;
  /** Position in the input of the job's first row. Default 0. */
  readonly base?: number | undefined;
  /** Default: any number of rows may fail. */
  readonly maxErrors?: MaxErrors;
  /** When it fires, no further rows are read; micro-batches in flight are finished and written. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Called with a micro-batch's failed rows after it is written; not if there are none. */
  readonly onFailures?: (failures: readonly RowFailure[]) => void;
}

export interface Before {
  readonly rows: number;
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** Micro-batches that had rows. */
  readonly microBatches: number;
}

const NOTHING_BEFORE: Before = { rows: 0, failedRows: 0, nonFiniteRows: 0, microBatches: 0 };

export interface Progress {
  /** Of the output, those of earlier runs included. */
  readonly rows: number;
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** Rows that earlier runs have written. */
  readonly rowsBefore: number;
  readonly microBatches: number;
  /** Seconds since the first row was read. */
  readonly seconds: number;
}

export interface JobResult extends Progress {
  /** When the first row was read, on the clock of `performance.now()`: loading and warm-up were over. */
  readonly startedAt: number;
  /** Whether it was stopped before the rows ended; the results so far are then in the unfinished output. */
  readonly stopped: boolean;
}

/** Throws what the source, the pipeline or the sink throws; the sink has then been abandoned. */
export async function runJob(options: JobOptions): Promise<JobResult> {
  const { pipeline, source, sink, signal, maxErrors, onProgress, onFailures } = options;
  const { before = NOTHING_BEFORE, base = 0 } = options;
  let startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  let progress: Progress = { ...before, rowsBefore: before.rows, microBatches: 0, seconds: 0 };
  const write = async (done: RowsDone): Promise<void> => {
    await sink.write(done);
    const failures = inOrder(done.failures, done.failed);
    progress = {
      ...progress,
      rows: progress.rows + done.rows,
      failedRows: progress.failedRows + failures.length,
      nonFiniteRows: progress.nonFiniteRows + done.nonFiniteRows,
      microBatches: progress.microBatches + microBatchesOf(done),
      seconds: seconds(),
    };
    if (failures.length > 0) onFailures?.(failures);
    onProgress?.(progress);
    checkErrors(maxErrors, progress, false);
  };
  /** Rows that have come out, written or not. */
  let out = before.rows;
  let writing = Promise.resolve();
  try {
    const onRows = (rows: number) => onProgress?.({ ...progress, rows: out + rows, seconds: seconds() });
    const run = await begin(pipeline, source, { signal, before, base, onRows });
    startedAt = performance.now();
    for await (const done of run) {
      await writing;
      out += done.rows;
      writing = write(done);
      // What it throws is met below, or before the next rows are written.
      writing.catch(() => {});
      if (!done.isOwn) await writing;
    }
    await writing;
    if (!signal?.aborted) checkErrors(maxErrors, progress, true);
  } catch (error) {
    await writing.catch(() => {});
    await sink.abandon();
    throw asTandemError(error);
  }
  const stopped = signal?.aborted ?? false;
  await (stopped ? sink.abandon() : sink.finish());
  return { ...progress, startedAt, seconds: seconds(), stopped };
}

/** The loop for the kind of rows. */
async function begin(
  pipeline: Pipeline,
  source: JobOptions['source'],
  asked: RowsRun,
): Promise<AsyncGenerator<RowsDone, void, undefined>> {
  if ('ragged' in source) return runWindows(pipeline, source, asked);
  if (source instanceof SoundSource) return runStreams(pipeline, source, asked);
  return runRows(pipeline, source, asked);
}
