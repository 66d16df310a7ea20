/** Finds out what every tensor of an ONNX graph is, by running it chunk by chunk with every value as an output. */
import { TandemError } from '../../errors.js';
import { isLegalCut } from '../../model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../../model/graph.js';
import { canCross } from '../../model/onnx/schema.js';
import { type OnnxModel, readOnnx } from '../../model/onnx.js';
import { type Slice, sliceOf } from '../../model/slice.js';
import { allocate, bytesOf, type Tensor } from '../../tensor.js';
import type { EngineOptions } from '../engine.js';
import { openSlice } from './ort-slice.js';

/** A chunk holds at least one op; more while their weights stay under this. */
const CHUNK_BYTES = 256 * 2 ** 20;
/** Every value of a chunk is held until its facts are noted. */
const CHUNK_OPS = 64;

type Shape = readonly (number | null)[];

/**
 * As `Engine.describe`. The graph runs on the rows of `feeds`, and a second time on each row twice: a dimension that doubles with the
 * rows is theirs. A value with a dimension that follows the rows in any other way (rows x tokens, a count of what was found) is left
 * out, so that no cut across it is planned.
 */
export async function describe(
  graph: ModelGraph,
  options: EngineOptions,
  feeds: readonly Tensor[],
): Promise<TensorFacts> {
  const model = readOnnx(graph.path);
  const rows = graph.fixedBatch ?? feeds[0]?.shape[0] ?? 1;
  const passes = [feeds];
  if (graph.fixedBatch === null) passes.push(feeds.map(twice));
  const values = passes.map((tensors) => new Map(graph.inputs.map(({ name }, n) => [name, tensors[n]!])));
  const facts = new Map<string, { dtype: Tensor['dtype']; shape: Shape }>();
  const note = (names: readonly string[]) => {
    for (const name of names) {
      const [one, two] = values.map((held) => held.get(name)!);
      const shape = two ? shapeOf(one!.shape, two.shape, rows) : one!.shape;
      if (shape) facts.set(name, { dtype: one!.dtype, shape });
    }
  };
  note(graph.inputs.map(({ name }) => name));
  for (let from = 0; from < graph.ops.length; ) {
    const slice = chunkOf(model, from);
    for (const [n, outputs] of (await runOnce(model, slice, options, values)).entries()) {
      for (const [i, name] of slice.outputs.entries()) values[n]!.set(name, outputs[i]!);
    }
    note(slice.outputs);
    const needed = new Set([...graph.outputs, ...graph.ops.slice(slice.to).flatMap((op) => op.inputs)]);
    for (const held of values) for (const name of held.keys()) if (!needed.has(name)) held.delete(name);
    from = slice.to;
  }
  return facts;
}

/** The next ops that run together, with everything they make as outputs. */
function chunkOf({ graph, holds }: OnnxModel, from: number): Slice {
  let to = from + 1;
  for (let k = to; k <= graph.ops.length && k - from <= CHUNK_OPS; k++) {
    if (weightBytes(graph, from, k) > CHUNK_BYTES && k > from + 1) break;
    if (k === graph.ops.length || isLegalCut(graph, k)) to = k;
  }
  while (to < graph.ops.length && !isLegalCut(graph, to)) to++;
  const slice = sliceOf(graph, from, to);
  const made = graph.ops.slice(from, to).flatMap((op) => op.outputs);
  return { ...slice, outputs: made.filter((name) => crosses(holds.get(name) ?? '')) };
}

function crosses(holds: string): boolean {
  return holds === '' || canCross(holds);
}

/** The outputs of one chunk for each of the passes. */
async function runOnce(
  model: OnnxModel,
  slice: Slice,
  options: EngineOptions,
  passes: readonly ReadonlyMap<string, Tensor>[],
): Promise<Tensor[][]> {
  const loaded = await openSlice(model, slice, options, { sketch: true });
  try {
    const results: Tensor[][] = [];
    for (const [n, held] of passes.entries()) {
      results.push(await loaded.run(slice.inputs.map((name) => held.get(name)!)).catch((cause) => refuse(cause, n)));
    }
    return results;
  } finally {
    await loaded.dispose();
  }
}

function refuse(cause: unknown, pass: number): never {
  if (pass === 0) throw cause;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the model runs one micro-batch of rows but not one of twice as many: ${(cause as Error).message}`,
    { remedy: 'export it with a fixed batch dimension, or with dynamic axes that hold throughout', cause },
  );
}

/** `rows` rows became twice as many between `one` and `two`; `null` where a dimension went another way. */
function shapeOf(one: readonly number[], two: readonly number[], rows: number): Shape | null {
  const shape = one.map((dim, axis) => {
    if (two[axis] === dim) return dim;
    return dim === rows && two[axis] === 2 * rows ? null : undefined;
  });
  return one.length === two.length && !shape.includes(undefined) ? (shape as Shape) : null;
}

/** Every row two times, as one tensor; a scalar stays one. */
function twice({ dtype, shape, data }: Tensor): Tensor {
  const [rows, ...rest] = shape;
  if (rows === undefined) return { dtype, shape, data };
  const doubled = allocate(dtype, [2 * rows, ...rest]);
  bytesOf(doubled).set(bytesOf(data));
  bytesOf(doubled).set(bytesOf(data), data.byteLength);
  return { dtype, shape: [2 * rows, ...rest], data: doubled };
}
