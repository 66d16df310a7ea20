/** A job: the rows of a source through a pipeline into a sink, in input order, until the rows end or somebody stops it. */
import { asTandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import type { Feed, MicroBatch } from '../pipeline/micro-batch.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Tensor } from '../tensor.js';
import { checkErrors, type MaxErrors } from './max-errors.js';
import { rowFailures } from './row-failures.js';
import type { Sink } from './sink.js';
import type { RowFailure, RowsRead, Source } from './source.js';

export interface JobOptions {
  readonly pipeline: Pipeline;
  readonly source: Source;
  readonly sink: Sink;
  /** What earlier runs of the same job have written; the source begins after it. */
  readonly before?: { readonly rows: number; readonly failedRows: number };
  /** Default: any number of rows may fail. */
  readonly maxErrors?: MaxErrors;
  /** When it fires, no further rows are read; what is in flight is finished and written. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Told of a micro-batch's failed rows once it is written; never of none. */
  readonly onFailures?: (failures: readonly RowFailure[]) => void;
}

export interface Progress {
  /** Of the output, those of earlier runs included. */
  readonly rows: number;
  readonly failedRows: number;
  /** Rows that earlier runs have written. */
  readonly rowsBefore: number;
  readonly microBatches: number;
  /** Seconds since the first row was read. */
  readonly seconds: number;
}

export interface JobResult extends Progress {
  /** When the first row was read, on the clock of `performance.now()`: loading and warm-up were over. */
  readonly startedAt: number;
  /** Whether it was stopped before the rows ended; the sink then holds what was done, under its unfinished name. */
  readonly stopped: boolean;
}

/** Throws what the source, the pipeline or the sink throws; the sink has then been abandoned. */
export async function runJob(options: JobOptions): Promise<JobResult> {
  const { pipeline, source, sink, signal, maxErrors, onProgress, onFailures } = options;
  const { before = { rows: 0, failedRows: 0 } } = options;
  const feed = new SourceFeed(source, signal);
  let startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const { rows: rowsBefore, failedRows } = before;
  let progress: Progress = { rows: rowsBefore, rowsBefore, failedRows, microBatches: 0, seconds: 0 };
  try {
    await pipeline.warmUp(source.rowSpecs);
    startedAt = performance.now();
    // The number of a micro-batch is that of its rows in the job, whichever run computes it.
    const first = Math.ceil(rowsBefore / pipeline.plan.microBatch);
    for await (const batch of pipeline.run(feed, first)) {
      const read = feed.takeRead();
      const failures = rowFailures(progress.rows, read, batch.failed);
      const outputs = publicOutputs(pipeline.graph, batch);
      await sink.write({ ...read, firstRow: progress.rows, rows: batch.rows, outputs, failures });
      progress = {
        ...progress,
        rows: progress.rows + batch.rows,
        failedRows: progress.failedRows + failures.length,
        microBatches: progress.microBatches + 1,
        seconds: seconds(),
      };
      if (failures.length > 0) onFailures?.(failures);
      onProgress?.(progress);
      checkErrors(maxErrors, progress, false);
    }
    if (!signal?.aborted) checkErrors(maxErrors, progress, true);
  } catch (error) {
    await sink.abandon();
    throw asTandemError(error);
  }
  const stopped = signal?.aborted ?? false;
  await (stopped ? sink.abandon() : sink.finish());
  return { ...progress, startedAt, seconds: seconds(), stopped };
}

/** Outputs by the names that the model shows to its users. */
export function publicOutputs({ outputNames }: ModelGraph, { outputs }: MicroBatch): Map<string, Tensor> {
  return new Map([...outputs].map(([name, tensor]) => [outputNames?.get(name) ?? name, tensor]));
}

/** Feeds the pipeline from a source, and keeps what was said of the rows until they come out at the other end. */
export class SourceFeed implements Feed {
  readonly #source: Source;
  readonly #signal: AbortSignal | undefined;
  /** One for each micro-batch in flight, oldest first. */
  readonly #reads: RowsRead[] = [];

  constructor(source: Source, signal?: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  async fill(into: readonly Tensor[]): Promise<number> {
    if (this.#signal?.aborted) return 0;
    const read = await this.#read(into);
    if (read.rows > 0) this.#reads.push(read);
    return read.rows;
  }

  takeRead(): RowsRead {
    return this.#reads.shift()!;
  }

  /** A source that is stopped while it waits for rows (a terminal, a pipe) may end in any way: that is no failure of the job. */
  async #read(into: readonly Tensor[]): Promise<RowsRead> {
    const signal = this.#signal;
    if (!signal) return this.#source.read(into);
    const ended: RowsRead = { rows: 0, failures: [], ids: null };
    let stop = () => {};
    const stopped = new Promise<RowsRead>((resolve) => {
      stop = () => resolve(ended);
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([this.#source.read(into), stopped]);
    } catch (error) {
      if (signal.aborted) return ended;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
