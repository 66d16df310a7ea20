/** Finds out whether a row's answer is the same beside other rows and with padding: a model may have a mask input and do nothing with it. */
import type { Feed } from '../../pipeline/micro-batch.js';
import type { Pipeline } from '../../pipeline/pipeline.js';
import { rowsAt } from '../../plan/length-plan.js';
import { FLOAT16, fromWord } from '../../rows/half-float.js';
import { madeInputs, makeInput } from '../../rows/made-inputs.js';
import type { RaggedRow, RowsOutput } from '../../rows/ragged-source.js';
import { allocate, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';
import { trimming } from './finish-rows.js';
import { shapesOf } from './row-size.js';
import { writeRows } from './write-rows.js';

/** Relative to the largest value: sums over other lengths are added up in another order. Half precision has 11 bits. */
const WITHIN = { single: 1e-5, half: 2 ** -7 };

/** What rows may do without changing an answer. */
export interface Independence {
  /** Share a micro-batch with rows of the same shape. */
  readonly apart: boolean;
  /** Be padded to the length of others. */
  readonly padded: boolean;
}

/** What is to be found out; `true` for what is known. */
export interface IndependenceRequest {
  readonly specs: readonly TensorSpec[];
  /** `null`: rows are never padded. */
  readonly padding: readonly number[] | null;
  readonly knownApart: boolean;
}

/** Floats of the rows beside the one that is tested are so many times as large, so that a branch on a sign takes both sides. */
const BESIDE = [40, -40];

/**
 * Runs one row alone, between others, and padded to the longest row, through a warm pipeline whose plan has `lengths`. What cannot be run is
 * not independent.
 */
export async function findIndependence(
  pipeline: Pipeline,
  { specs, padding, knownApart }: IndependenceRequest,
): Promise<Independence> {
  const { lengths, microBatch } = pipeline.plan;
  const { longest } = lengths!;
  // The budget holds the longest row, and so two of half its length.
  const own = Math.max(1, Math.floor(longest / 2));
  const row = testRow(specs, own);
  const isPadded =
    padding !== null && own < longest && ![...pipeline.across!.outputLengths.values()].some(({ varies }) => varies);
  const beside = BESIDE.map((factor) => testRow(specs, own, factor));
  const fits = rowsAt(lengths!, microBatch, own);
  const among = fits > 2 ? [beside[0]!, row, beside[1]!] : [row, beside[0]!];
  const isKnown = knownApart || fits < 2;
  const asked: readonly TestBatch[] = [
    { rows: [row], length: own },
    ...(isKnown ? [] : [{ rows: among, length: own }]),
    ...(isPadded ? [{ rows: [row], length: longest }] : []),
  ];
  const answers = await answersOf(pipeline, asked, { specs, padding, row });
  const [alone, ...others] = answers;
  const isSame = (other: readonly Tensor[] | undefined) =>
    alone !== undefined && other !== undefined && alone.every((tensor, n) => isNear(tensor, other[n]!));
  const apart = isKnown || isSame(others[0]);
  return { apart, padded: apart && padding !== null && (own === longest || (isPadded && isSame(others.at(-1)))) };
}

/** Rows of one micro-batch, all of this padded length. */
interface TestBatch {
  readonly rows: readonly RaggedRow[];
  readonly length: number;
}

/** The answers to `row`, by batch, up to the first that fails. */
async function answersOf(
  pipeline: Pipeline,
  batches: readonly TestBatch[],
  { specs, padding, row }: Pick<IndependenceRequest, 'specs' | 'padding'> & { readonly row: RaggedRow },
): Promise<Tensor[][]> {
  const finish = trimming(pipeline.across!.outputLengths, specs, true);
  const answers: Tensor[][] = [];
  try {
    for await (const { outputs, failed, index } of pipeline.run(feedOf(batches, specs, padding ?? []))) {
      if (failed.size > 0) break;
      const { rows } = batches[index]!;
      const found = finish(outputs, rows);
      answers.push([...found.values()].map((output) => rowOf(output, rows.indexOf(row))));
    }
  } catch {
    // Those that came before it count.
  }
  return answers;
}

function feedOf(batches: readonly TestBatch[], specs: readonly TensorSpec[], padding: readonly number[]): Feed {
  let next = 0;
  return {
    traits: () => {
      const { rows, length } = batches[next] ?? { rows: [], length: 0 };
      const [first] = rows;
      if (!first) return { rows: 0, rowShapes: specs.map(({ shape }) => shape.map((dim) => dim ?? 0)) };
      return { rows: rows.length, rowShapes: shapesOf(specs, first, length, true) };
    },
    async fill(into) {
      const batch = batches[next++];
      if (!batch) return 0;
      writeRows(batch.rows, into, padding);
      return batch.rows.length;
    },
  };
}

/** A copy of one row of an output. */
function rowOf(output: RowsOutput, place: number): Tensor {
  if (!('data' in output)) return output[place]!;
  const { dtype, shape, data } = output;
  const elements = data.length / shape[0]!;
  return { dtype, shape: shape.slice(1), data: data.slice(place * elements, (place + 1) * elements) as TypedArray };
}

/** Integers are ids: 0 and 1 are in every model's range. Masks, types and positions are what rows that do not give them have. */
function testRow(specs: readonly TensorSpec[], length: number, factor = 1): RaggedRow {
  const made = madeInputs(specs);
  const tensors = specs.map((spec, n): Tensor => {
    const how = made.get(spec.name);
    if (how) return makeInput(spec, how, length);
    const shape = spec.shape.map((dim) => dim ?? length);
    const data = allocate(spec.dtype, shape);
    let state = n + factor;
    for (let i = 0; i < data.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      put(data, i, spec.dtype, factor * (state / 2 ** 31));
    }
    return { dtype: spec.dtype, shape, data };
  });
  return { index: 0, tensors };
}

function put(data: TypedArray, i: number, dtype: Tensor['dtype'], value: number): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = value > 0 ? 1n : 0n;
  else if (dtype === 'float32' || dtype === 'float64') data[i] = value;
  // 1 in half precision, with the sign.
  else if (dtype === 'float16') data[i] = value > 0 ? 0x3c00 : 0xbc00;
  else data[i] = value > 0 ? 1 : 0;
}

function isNear(a: Tensor, b: Tensor): boolean {
  const isHalf = a.dtype === 'float16';
  const isFloat = isHalf || a.dtype === 'float32' || a.dtype === 'float64';
  const [x, y] = [a, b].map(({ data }) =>
    Array.from(data as Float32Array, (value) => (isHalf ? fromWord(value, FLOAT16) : Number(value))),
  ) as [number[], number[]];
  const most = x.reduce((found, value) => (Number.isFinite(value) ? Math.max(found, Math.abs(value)) : found), 0);
  const within = isFloat ? most * (isHalf ? WITHIN.half : WITHIN.single) : 0;
  return x.length === y.length && x.every((value, i) => Object.is(value, y[i]) || Math.abs(value - y[i]!) <= within);
}
