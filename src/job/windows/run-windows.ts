/** The loop of a job whose rows differ in length: windows of rows through a pipeline, in input order, each with its results or its failures. */
import { TandemError } from '../../errors.js';
import type { RowsDone } from '../../output/sink.js';
import type { Pipeline } from '../../pipeline/pipeline.js';
import type { OutputLength } from '../../pipeline/warm-up.js';
import type { Finish, RaggedSource, WindowParts } from '../../rows/ragged-source.js';
import type { Source } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import type { RowsRun } from '../run-rows.js';
import { trimming } from './finish-rows.js';
import { makeRoom } from './make-room.js';
import { WindowFeed } from './window-feed.js';

/** Rows that differ in length, and what is made of their outputs; default: each row without padding. */
export interface WindowedRows {
  readonly ragged: RaggedSource;
  readonly finish?: Finish | undefined;
  /** As of `Source.check`. */
  readonly check?: Source['check'];
  /** Makes the rows of the input of what a window's good rows gave; default: they are the same, one for one. */
  readonly settle?: ((parts: WindowParts) => RowsDone) | undefined;
}

/**
 * The pipeline is warm, and its plan has `lengths`. After an abort, windows of which not all micro-batches have come out are left out: the rows
 * that come out are whole windows, so a job that is resumed makes the same micro-batches. Throws what the source or the pipeline throws.
 */
export async function* runWindows(
  pipeline: Pipeline,
  { ragged: source, finish, settle }: WindowedRows,
  { signal, before = { rows: 0, microBatches: 0 }, base = 0, onRows }: RowsRun = {},
): AsyncGenerator<RowsDone, void, undefined> {
  const { lengths, microBatch: mostRows } = pipeline.plan;
  if (!lengths)
    throw new TandemError('TANDEM_INTERNAL', 'the plan does not say how rows that differ in length are run');
  const { specs } = source;
  const finishing = finish ?? trimming(publicNames(pipeline, pipeline.across!.outputLengths), specs, lengths.padded);
  const feed = new WindowFeed(source, { specs, lengths, mostRows }, base + before.rows, signal);
  let microBatches = before.microBatches;
  for (let isFirst = true; ; isFirst = false) {
    for await (const { outputs, failed, rows: computed } of pipeline.run(feed, microBatches, !isFirst)) {
      const { window, batch, rows } = feed.takeDone();
      if (computed > 0) microBatches += 1;
      const kept = finishing(publicNames(pipeline, outputs), rows);
      if (batch) window.add(batch, kept, failed);
      else window.addNone(kept);
      if (window.isDone)
        yield settle ? { ...settle(window.parts), microBatches: window.batches.length } : window.result();
      else onRows?.(window.done);
    }
    if (!feed.needs) return;
    feed.goOn(await makeRoom(pipeline, specs, feed.needs));
  }
}

/** By the names that the model shows to its users. */
function publicNames<T extends Tensor | OutputLength>(
  { graph: { outputNames } }: Pipeline,
  values: ReadonlyMap<string, T>,
): Map<string, T> {
  return new Map([...values].map(([name, value]) => [outputNames?.get(name) ?? name, value]));
}
