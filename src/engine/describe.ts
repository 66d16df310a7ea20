/** Finds out what the tensors of a graph are by running it, a few ops at a time, with everything that they make as outputs. */
import { TandemError } from '../errors.js';
import { isLegalCut } from '../model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { type Slice, sliceOf } from '../model/slice.js';
import { allocate, bytesOf, type Shape, type Tensor } from '../tensor.js';
import type { LoadedSlice } from './engine.js';

/** A chunk holds at least one op; more while their weights stay under this. */
const CHUNK_BYTES = 256 * 2 ** 20;
/** Every value of a chunk is held until its facts are noted. */
const CHUNK_OPS = 64;

/** Loads a slice that may return any of the tensors that its ops make. */
export type LoadChunk = (chunk: Slice) => Promise<Pick<LoadedSlice, 'run' | 'dispose'>>;

/**
 * As `Engine.describe`. The graph runs on one row and on two: a dimension that goes from 1 to 2 is the rows'. A tensor with a dimension
 * that follows the rows in any other way (rows x tokens, a count of what was found) is left out, so that nobody cuts across it; so is one that no legal cut parts from its readers.
 */
export async function describeByRunning(
  graph: ModelGraph,
  feeds: readonly Tensor[],
  load: LoadChunk,
): Promise<TensorFacts> {
  const batches = graph.fixedBatch === null ? [1, 2] : [graph.fixedBatch];
  const passes = batches.map((rows) => new Map(graph.inputs.map(({ name }, n) => [name, repeated(feeds[n]!, rows)])));
  const facts = new Map<string, { dtype: Tensor['dtype']; shape: Shape }>();
  const note = (names: readonly string[]) => {
    for (const name of names) {
      const [one, two] = passes.map((values) => values.get(name)!);
      const shape = two ? shapeOf(one!.shape, two.shape) : one!.shape;
      if (shape) facts.set(name, { dtype: one!.dtype, shape });
    }
  };
  note(graph.inputs.map(({ name }) => name));
  const crossing = crossingTensors(graph);
  for (let from = 0; from < graph.ops.length; ) {
    const chunk = chunkAt(graph, from, crossing);
    await runChunk(chunk, passes, load);
    note(chunk.outputs);
    const wanted = new Set([...graph.outputs, ...graph.ops.slice(chunk.to).flatMap((op) => op.inputs)]);
    for (const values of passes) for (const name of values.keys()) if (!wanted.has(name)) values.delete(name);
    from = chunk.to;
  }
  return facts;
}

/** Tensors that live across a legal cut, or are returned. */
function crossingTensors(graph: ModelGraph): Set<string> {
  const legalUpTo = [0];
  for (let k = 1; k <= graph.ops.length; k++) legalUpTo.push(legalUpTo[k - 1]! + (isLegalCut(graph, k) ? 1 : 0));
  const crossing = new Set(graph.outputs);
  const born = new Map<string, number>();
  for (const { index, inputs, outputs } of graph.ops) {
    for (const name of outputs) born.set(name, index);
    for (const name of inputs) if (legalUpTo[index]! > legalUpTo[born.get(name) ?? index]!) crossing.add(name);
  }
  return crossing;
}

/** The next ops that run together, with everything they make as outputs. */
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

/** Adds what the chunk makes to each pass. */
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
      'TANDEM_MODEL_UNSUPPORTED',
      `the model runs with one row but not with two: ${(cause as Error).message}`,
      {
        remedy: 'export it with a fixed batch dimension, or with dynamic axes that hold throughout',
        cause,
      },
    );
  }
}

/** One row became two between `one` and `two`; `null` where a dimension went another way. */
function shapeOf(one: readonly number[], two: readonly number[]): Shape | null {
  if (one.length !== two.length) return null;
  const shape = one.map((dim, axis) => (two[axis] === dim ? dim : dim === 1 && two[axis] === 2 ? null : undefined));
  return shape.includes(undefined) ? null : (shape as Shape);
}

/** `rows` times the row in `feed`. */
function repeated({ dtype, shape, data }: Tensor, rows: number): Tensor {
  const [held, ...rest] = shape;
  if (held === undefined || held === rows) return { dtype, shape, data };
  const tiled = { dtype, shape: [rows, ...rest], data: allocate(dtype, [rows, ...rest]) };
  const row = bytesOf(data).subarray(0, data.byteLength / held);
  for (let n = 0; n < rows; n++) bytesOf(tiled.data).set(row, n * row.byteLength);
  return tiled;
}
