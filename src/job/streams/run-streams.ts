/** The loop of a job whose rows are files of windows: each file's windows run in order, many files at once, and a file's results come out together. */
import type { RowsDone } from '../../output/sink.js';
import type { Pipeline } from '../../pipeline/pipeline.js';
import type { SoundSource } from '../../rows/audio/sound-source.js';
import { nonFiniteRows } from '../../rows/finite.js';
import type { RowFailure } from '../../rows/source.js';
import type { RowsRun } from '../run-rows.js';
import type { Stream } from './stream.js';
import { StreamFeed } from './stream-feed.js';

/** Files that are open at once, at most: a process may open about a thousand. */
const MOST_OPEN = 256;

/**
 * One result for each file, in input order: its outputs are (1, windows, ...). After an abort, files of which not all windows have come out
 * are left out. Throws what the pipeline throws.
 */
export async function* runStreams(
  pipeline: Pipeline,
  source: SoundSource,
  { signal, before = { rows: 0, microBatches: 0 } }: RowsRun = {},
): AsyncGenerator<RowsDone, void, undefined> {
  await pipeline.warmUp(source.rowSpecs);
  const { plan, graph } = pipeline;
  const { carry } = source.recipe;
  const names = graph.outputs.map((name) => graph.outputNames?.get(name) ?? name);
  const carried = new Set(carry.values());
  const taking = { carry, kept: names.filter((name) => !carried.has(name)) };
  const left = source.rows - before.rows;
  const groups = Math.max(1, Math.min(plan.depth, left));
  const files = Math.max(1, Math.min(plan.microBatch, Math.ceil(left / groups), Math.floor(MOST_OPEN / groups)));
  const feed = new StreamFeed({ source, firstRow: before.rows, files, groups, signal });
  try {
    for await (const { outputs, failed } of pipeline.run(feed, before.microBatches)) {
      const { streams, taken } = feed.takeFlight();
      const named = new Map([...outputs].map(([name, tensor]) => [graph.outputNames?.get(name) ?? name, tensor]));
      for (const [place, stream] of streams.entries()) {
        const error = failed.get(place);
        if (error) stream.failure = failureOf(stream, source, error);
        else stream.take(named, place, taking);
      }
      await taken();
      for (const { row, done } of feed.takeDone()) yield resultOf(row, source.idOf(row), done);
    }
    for (const { row, done } of feed.takeDone()) yield resultOf(row, source.idOf(row), done);
  } finally {
    await feed.close();
  }
}

function failureOf(
  { row, window }: Stream,
  source: SoundSource,
  { code, message }: Pick<RowFailure, 'code' | 'message'>,
): RowFailure {
  return { index: row, id: source.idOf(row), code, message: `window ${window}: ${message}` };
}

function resultOf(firstRow: number, id: string, done: Stream | RowFailure): RowsDone {
  const common = { rows: 1, firstRow, ids: [id], failed: [] };
  if ('code' in done) return { ...common, failures: [done], outputs: new Map(), nonFiniteRows: 0 };
  const { outputs } = done;
  return { ...common, failures: [], outputs, nonFiniteRows: nonFiniteRows(outputs.values(), 1).size };
}
