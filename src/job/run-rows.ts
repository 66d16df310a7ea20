/** The one loop under a job and under the library's `run`: rows of a source through a pipeline, in input order, each with its results or its failure. */
import type { ModelGraph } from '../model/graph.js';
import type { RowsDone } from '../output/sink.js';
import { type Feed, type MicroBatch, NOTHING } from '../pipeline/micro-batch.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { nonFiniteRows } from '../rows/finite.js';
import { goodRows, type RowsRead, type Source } from '../rows/source.js';
import type { Tensor } from '../tensor.js';
import { stageFailures } from './row-failures.js';

export interface RowsRun {
  /** When it fires, no further rows are read; results in flight are still returned. */
  readonly signal?: AbortSignal | undefined;
  /** Rows and micro-batches that earlier runs of the same job have done; the source begins after them. */
  readonly before?: { readonly rows: number; readonly microBatches: number };
  /** Position in the input of the job's first row; not 0 for a shard. */
  readonly base?: number;
  /** Called with the number of computed rows of a window that is not finished. */
  readonly onRows?: (rows: number) => void;
}

/**
 * Settles when the pipeline is warmed up for these rows; reading begins when the first result is asked for. Rows are read only as fast as slots are
 * freed and results are taken. Throws what the source or the pipeline throws.
 */
export async function runRows(
  pipeline: Pipeline,
  source: Source,
  { signal, before = { rows: 0, microBatches: 0 }, base = 0 }: RowsRun = {},
): Promise<AsyncGenerator<RowsDone, void, undefined>> {
  await pipeline.warmUp(source.rowSpecs);
  const from = { ...before, rows: base + before.rows };
  return rowsDone(pipeline, new SourceFeed(source, signal), from, source.finish);
}

async function* rowsDone(
  pipeline: Pipeline,
  feed: SourceFeed,
  before: NonNullable<RowsRun['before']>,
  finish: Source['finish'],
): AsyncGenerator<RowsDone, void, undefined> {
  let firstRow = before.rows;
  // A micro-batch has the same number in every run of the job.
  for await (const batch of pipeline.run(feed, before.microBatches)) {
    const read = feed.takeRead();
    const failed = stageFailures(firstRow, read, batch.failed);
    const outputs = publicOutputs(pipeline.graph, batch);
    yield {
      ...read,
      firstRow,
      ...(finish?.(outputs, batch.rows) ?? { outputs }),
      failed,
      nonFiniteRows: countNonFinite(batch),
    };
    firstRow += read.rows;
  }
}

/** Of rows that could be computed. */
function countNonFinite({ outputs, rows, failed }: MicroBatch): number {
  return [...nonFiniteRows(outputs.values(), rows)].filter((place) => !failed.has(place)).length;
}

/** Outputs by the model's names for users. */
function publicOutputs({ outputNames }: ModelGraph, { outputs }: MicroBatch): Map<string, Tensor> {
  return new Map([...outputs].map(([name, tensor]) => [outputNames?.get(name) ?? name, tensor]));
}

/** Feeds the pipeline from a source, and keeps the rows' ids and failures until their results come out. */
class SourceFeed implements Feed {
  readonly #source: Source;
  readonly #signal: AbortSignal | undefined;
  /** One for each micro-batch in flight, oldest first. */
  readonly #reads: RowsRead[] = [];

  constructor(source: Source, signal?: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  async fill(into: readonly Tensor[]): Promise<number | typeof NOTHING> {
    if (this.#signal?.aborted) return 0;
    const read = await this.#read(into);
    if (read.rows === 0) return 0;
    this.#reads.push(read);
    return goodRows(read) || NOTHING;
  }

  takeRead(): RowsRead {
    return this.#reads.shift()!;
  }

  /** A source that is stopped while it waits for rows (a terminal, a pipe) may fail: that is no failure of the job. */
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
