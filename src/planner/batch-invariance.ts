/** Finds out whether a row's answer depends on the other rows of its micro-batch: runs one row together with very different ones. */
import { engineBuild, engineOf, providerFor } from '../engine/choose.js';
import { inputAxis } from '../model/fed-inputs.js';
import { identify } from '../model/file-identity.js';
import type { ModelGraph } from '../model/graph.js';
import type { Feed } from '../pipeline/micro-batch.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { StageOptions } from '../plan/stage-options.js';
import { bytesOf, type Tensor, type TensorSpec, type TypedArray, zeroRows } from '../tensor.js';
import { readStored, store } from './measure/store.js';

/** `null` if it could not be determined. */
export type BatchInvariance = boolean | null;

/**
 * Floats of the tested row lie in [-1, 1). Those of the other rows are multiplied by these factors, so that a branch on the sign of a sum
 * takes both sides.
 */
const FACTORS = [0, 40, -40];
/** Relative tolerance. The same rows in the same place give the same bits, but engines that split work among threads may add up in another order. */
const WITHIN = 1e-5;

interface InvarianceRequest {
  readonly rowSpecs: readonly TensorSpec[];
  readonly stages?: readonly StageOptions[] | undefined;
}

/** What is known without running anything: from the ops, or from an earlier test; `undefined` if nothing is. */
export async function knownInvariance(
  graph: ModelGraph,
  request: InvarianceRequest,
): Promise<BatchInvariance | undefined> {
  const proved = graph.batchInvariant && enginesOf(graph, request).every(({ entry }) => entry.batchInvariant);
  if (proved && graph.inputs.every(({ name }) => inputAxis(graph, name) === 0)) return true;
  return readStored<{ batchInvariant: BatchInvariance }>('batch-invariance', await subjectOf(graph, request))
    ?.batchInvariant;
}

/** Runs a few micro-batches through a warm pipeline, and stores the result. */
export async function findInvariance(pipeline: Pipeline, request: InvarianceRequest): Promise<BatchInvariance> {
  const { graph } = pipeline;
  const tried = async (kind: Kind) => testRow(pipeline, request.rowSpecs, kind).catch(() => null);
  const batchInvariant = (await tried('any')) ?? (await tried('ids'));
  store('batch-invariance', await subjectOf(graph, request), { batchInvariant });
  return batchInvariant;
}

/** Of each stage; without stages, of one on the CPU. */
function enginesOf(graph: ModelGraph, { stages = [] }: Pick<InvarianceRequest, 'stages'>) {
  const chosen: readonly StageOptions[] = stages.length > 0 ? stages : [{ device: 'cpu' }];
  return chosen.map(({ device, provider }) => ({ entry: engineOf(graph, device, provider), device, provider }));
}

/** Everything that the result depends on, the weights' values included, since they may be axes. */
async function subjectOf(graph: ModelGraph, { rowSpecs, stages = [] }: InvarianceRequest): Promise<object> {
  const builds = enginesOf(graph, { stages }).map(({ entry, device, provider }) =>
    engineBuild(entry.id, providerFor(entry.id, device, provider)),
  );
  return {
    schema: 2,
    files: await Promise.all(graph.files.map(identify)),
    axes: graph.inputs.map(({ name }) => inputAxis(graph, name)),
    rowShapes: rowSpecs.map(({ shape }) => shape),
    builds: [...new Set(builds)].sort(),
  };
}

/**
 * Tests a row between zeros and between large rows of either sign, because rows before it and after it may both change it. In micro-batches of
 * two rows it is tested in each place.
 */
async function testRow(pipeline: Pipeline, rowSpecs: readonly TensorSpec[], kind: Kind): Promise<BatchInvariance> {
  const rows = Math.min(3, pipeline.plan.microBatch);
  for (const place of rows === 3 ? [1] : [0, 1]) {
    const batches = FACTORS.map((factor) => testRows(rowSpecs, rows, { place, factor, kind }));
    const answers: Tensor[][] = [];
    for await (const { failed, outputs } of pipeline.run(feedOf(batches))) {
      if (failed.size > 0) return null;
      answers.push([...outputs.values()].map((tensor) => rowOf(tensor, place)));
    }
    const [first, ...others] = answers;
    if (others.some((other) => first!.some((tensor, n) => !isNear(tensor, other[n]!)))) return false;
  }
  return true;
}

/** A model may take floats as ids too, and then refuse a value that is no id. */
type Kind = 'any' | 'ids';

interface TestRows {
  /** Index of the tested row. */
  readonly place: number;
  /** The factor of the other rows. */
  readonly factor: number;
  readonly kind: Kind;
}

/** Integers are ids, masks or lengths: 0 and 1 are in nearly every model's range. */
function testRows(rowSpecs: readonly TensorSpec[], rows: number, { place, factor, kind }: TestRows): Tensor[] {
  return zeroRows(rowSpecs, rows).map((tensor, n) => {
    const perRow = tensor.data.length / rows;
    for (let row = 0; row < rows; row++) {
      const own = tensor.data.subarray(row * perRow, (row + 1) * perRow) as TypedArray;
      const dtype = kind === 'ids' ? 'ids' : tensor.dtype;
      fill(own, dtype, row === place ? 1 : factor, numbers(1 + n + 100 * row));
    }
    return tensor;
  });
}

function fill(row: TypedArray, dtype: Tensor['dtype'] | 'ids', factor: number, next: () => number): void {
  for (let i = 0; i < row.length; i++) {
    const value = next();
    if (row instanceof BigInt64Array || row instanceof BigUint64Array) row[i] = factor * value > 0 ? 1n : 0n;
    else if (dtype === 'float32' || dtype === 'float64') row[i] = factor * value;
    // 1 and 32 in half precision, with the sign.
    else if (dtype === 'float16')
      row[i] = factor === 0 ? 0 : (factor * value < 0 ? 0x8000 : 0) | (factor === 1 ? 0x3c00 : 0x5000);
    else row[i] = factor * value > 0 ? 1 : 0;
  }
}

/** Seeded numbers in [-1, 1). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

function feedOf(batches: readonly (readonly Tensor[])[]): Feed {
  const left = [...batches];
  return {
    async fill(rooms) {
      const batch = left.shift();
      if (!batch) return 0;
      for (const [n, { data }] of batch.entries()) bytesOf(rooms[n]!.data).set(bytesOf(data));
      return batch[0]!.shape[0]!;
    },
  };
}

/** A copy, since output buffers are reused. */
function rowOf({ dtype, shape: [rows, ...row], data }: Tensor, place: number): Tensor {
  const perRow = data.length / rows!;
  return { dtype, shape: row, data: data.slice(place * perRow, (place + 1) * perRow) as TypedArray };
}

/** Half precision is compared bit by bit. */
function isNear(a: Tensor, b: Tensor): boolean {
  const [x, y] = [a, b].map(({ data }) => Array.from(data as Float32Array, Number)) as [number[], number[]];
  const isFloat = a.dtype === 'float32' || a.dtype === 'float64';
  const most = x.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  const within = isFloat ? most * WITHIN : 0;
  const isSame = (value: number, other: number) => Object.is(value, other) || Math.abs(value - other) <= within;
  return x.length === y.length && x.every((value, i) => isSame(value, y[i]!));
}
