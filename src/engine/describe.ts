/** Infers the shapes of a graph's tensors by running it, a few ops at a time, with every tensor of theirs as an output. */
import { TandemError } from '../errors.js';
import { type Lifetime, lifetimes, livesAcross } from '../liveness.js';
import { isLegalCut } from '../model/cut.js';
import { inputAxis } from '../model/fed-inputs.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { repeatRow } from '../model/move-rows.js';
import { type Slice, sliceOf } from '../model/slice.js';
import type { Shape, Tensor } from '../tensor.js';
import type { LoadedSlice } from './engine.js';

/** A chunk holds at least one op; more while their weights stay under this. */
const CHUNK_BYTES = 256 * 2 ** 20;
/** All values of a chunk are in memory at once. */
const CHUNK_OPS = 64;

/** Loads a slice that can return any tensor of its ops. */
export type LoadChunk = (chunk: Slice) => Promise<Pick<LoadedSlice, 'run' | 'dispose'>>;

/**
 * As `Engine.describe`. The graph runs on one row and on two: the one dimension that goes from 1 to 2 is the rows'. A tensor with a dimension
 * that depends on the rows in any other way (rows x tokens, rows x rows, a count of matches) is left out, so that no cut crosses it; so
 * is a tensor that no legal cut separates from its readers.
 */
export async function describeByRunning(
  graph: ModelGraph,
  feeds: readonly Tensor[],
  load: LoadChunk,
): Promise<TensorFacts> {
  const batches = graph.fixedBatch === null ? [1, 2] : [graph.fixedBatch];
  const passes = batches.map(
    (rows) => new Map(graph.inputs.map(({ name }, n) => [name, repeated(feeds[n]!, rows, inputAxis(graph, name))])),
  );
  const facts = new Map<string, { dtype: Tensor['dtype']; shape: Shape }>();
  const note = (names: readonly string[]) => {
    for (const name of names) {
      const [one, two] = passes.map((values) => values.get(name)!);
      const shape = two ? shapeOf(one!.shape, two.shape) : one!.shape;
      if (shape) facts.set(name, { dtype: one!.dtype, shape });
    }
  };
  note(graph.inputs.map(({ name }) => name));
  const lives = lifetimes(graph.ops, { fed: graph.inputs.map(({ name }) => name), kept: graph.outputs });
  const crossing = crossingTensors(graph, lives);
  for (let from = 0; from < graph.ops.length; ) {
    const chunk = chunkAt(graph, from, crossing);
    await runChunk(chunk, passes, load);
    note(chunk.outputs);
    for (const values of passes)
      for (const name of values.keys()) if (!livesAcross(lives.get(name)!, chunk.to)) values.delete(name);
    from = chunk.to;
  }
  return facts;
}

/** Tensors that live across a legal cut, or are returned. */
function crossingTensors(graph: ModelGraph, lives: ReadonlyMap<string, Lifetime>): Set<string> {
  const legalUpTo = [0];
  for (let k = 1; k <= graph.ops.length; k++) legalUpTo.push(legalUpTo[k - 1]! + (isLegalCut(graph, k) ? 1 : 0));
  const made = [...lives].filter(([, { born }]) => born >= 0);
  const crossing = made.filter(([, { born, last }]) => legalUpTo[last]! > legalUpTo[born]!);
  return new Set([...graph.outputs, ...crossing.map(([name]) => name)]);
}

/** The next ops that run together, with all their tensors as outputs. */
function chunkAt(graph: ModelGraph, from: number, crossing: ReadonlySet<string>): Slice {
  let to = from + 1;
  while (to < graph.ops.length && !isLegalCut(graph, to)) to++;
  for (let k = to + 1; k <= graph.ops.length && k - from <= CHUNK_OPS; k++) {
    if (weightBytes(graph, from, k) > CHUNK_BYTES) break;
    if (k === graph.ops.length || isLegalCut(graph, k)) to = k;
  }
  const outputs = graph.ops.slice(from, to).flatMap((op) => op.outputs);
  return { ...sliceOf(graph, from, to), outputs: outputs.filter((name) => crossing.has(name)) };
}

/** Adds the chunk's tensors to each pass. */
async function runChunk(chunk: Slice, passes: readonly Map<string, Tensor>[], load: LoadChunk): Promise<void> {
  const loaded = await load(chunk);
  try {
    for (const [n, values] of passes.entries()) {
      const made = await run(
        loaded,
        chunk.inputs.map((name) => values.get(name)!),
        n,
      );
      for (const [i, name] of chunk.outputs.entries()) values.set(name, made[i]!);
    }
  } finally {
    await loaded.dispose();
  }
}

async function run(loaded: Pick<LoadedSlice, 'run'>, inputs: readonly Tensor[], pass: number): Promise<Tensor[]> {
  try {
    return await loaded.run(inputs);
  } catch (cause) {
    if (pass === 0) throw cause;
    throw new TandemError(
      'TANDEM_ONE_ROW',
      `the model runs with one row but not with two: ${(cause as Error).message}`,
      {
        remedy: 'use --micro-batch 1; or export the model with dynamic axes in all its ops',
        cause,
      },
    );
  }
}

/** The axis along which one row became two between `one` and `two`, if any; `null` if another dimension changed too. */
function shapeOf(one: readonly number[], two: readonly number[]): Shape | null {
  if (one.length !== two.length) return null;
  const shape = one.map((dim, axis) => (two[axis] === dim ? dim : dim === 1 && two[axis] === 2 ? null : undefined));
  const isOdd = shape.includes(undefined) || shape.indexOf(null) !== shape.lastIndexOf(null);
  return isOdd ? null : (shape as Shape);
}

/** `rows` times the row in `feed`; values given once for all rows stay as they are. */
function repeated(feed: Tensor, rows: number, axis: number | null): Tensor {
  return axis === null || axis >= feed.shape.length ? feed : repeatRow(feed, axis, rows);
}
