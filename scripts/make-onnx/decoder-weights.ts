/** The weights of a decoder in a graph: seeded or from a checkpoint, float or 8 bits with a scale for each row or block. */

import type { Graph } from '../../src/prove/models/graph.js';
import { seeded } from '../../src/prove/models/seeded.js';
import type { TypedArray } from '../../src/tensor.js';

/** A weight's values by its name in a checkpoint, row-major as [out, in]. */
export type Values = (name: string, shape: readonly number[]) => Float32Array;

/**
 * `float32`: MatMul. `int8-rows`: rows of inputs and of weights are quantised to 8 bits with one scale each, by standard ops, so that no row
 * sees another. `q8`: MatMulNBits with 8 bits and a scale for each 32 weights.
 */
export type Linear = 'float32' | 'int8-rows' | 'q8';

const BLOCK = 32;

export class DecoderWeights {
  readonly #g: Graph;
  readonly #linear: Linear;
  readonly #valuesOf: Values;

  constructor(g: Graph, linear: Linear, valuesOf?: Values) {
    this.#g = g;
    this.#linear = linear;
    const seed = g.seed;
    this.#valuesOf = valuesOf ?? ((name, shape) => made(name, shape, seed));
  }

  /** A table of rows that are looked up. */
  table(name: string, shape: readonly number[]): string {
    return this.#weight(name, 'float32', shape, () => this.#valuesOf(name, shape));
  }

  /** RMSNorm over the last axis. */
  norm(x: string, name: string, size: number, epsilon: number): string {
    const path = `/${name.replace(/^model\./, 'model/')}`;
    const scale = this.#weight(`${name}.weight`, 'float32', [size], () => this.#valuesOf(`${name}.weight`, [size]));
    return this.#g.node('SimplifiedLayerNormalization', [x, scale], {
      name: `${path}/LayerNorm`,
      axis: -1,
      epsilon: { float: epsilon },
      stash_type: 1,
    });
  }

  /** x times the weight `name`, [out, in] in the checkpoint. */
  linear(x: string, name: string, from: number, to: number): string {
    return this.#matrix(x, `${name}.weight`, `/${name.replaceAll(/\.(?=\D)/g, '/')}`, from, to);
  }

  /** The logits, named `logits`. */
  head(x: string, from: number, to: number): string {
    return this.#matrix(x, 'lm_head.weight', '/lm_head', from, to, 'logits');
  }

  #matrix(x: string, weight: string, path: string, from: number, to: number, as = ''): string {
    const g = this.#g;
    const values = () => this.#valuesOf(weight, [to, from]);
    const key = `${path.slice(1)}.weight`;
    if (this.#linear === 'q8') {
      const blocks = from / BLOCK;
      const packed = this.#weight(`${key}_Q8`, 'uint8', [to, blocks, BLOCK], () => blockwise(values()).bytes);
      const scales = this.#weight(`${key}_scales`, 'float32', [to * blocks], () => blockwise(values()).scales);
      const options = { domain: 'com.microsoft', K: from, N: to, bits: 8, block_size: BLOCK, accuracy_level: 4 };
      return g.node('MatMulNBits', [x, packed, scales], { name: `${path}/MatMulNBits`, as, ...options });
    }
    if (this.#linear === 'float32') {
      const turned = this.#weight(key, 'float32', [from, to], () => transposed(values(), to, from));
      return g.node('MatMul', [x, turned], { name: `${path}/MatMul`, as });
    }
    const rows = () => perRow(values(), to, from);
    const turned = this.#weight(`${key}_uint8`, 'uint8', [from, to], () => transposed(rows().bytes, to, from));
    const scales = this.#weight(`${key}_scale`, 'float32', [to], () => rows().scales);
    return this.#perRow(x, turned, scales, path, as);
  }

  /** Each row of `x` is quantised by its own largest value. */
  #perRow(x: string, weight: string, scales: string, path: string, as: string): string {
    const g = this.#g;
    const scalar = (name: string, value: number) => {
      const key = `${path}/${name}`;
      return g.constant(key, { dtype: 'float32', shape: [], data: Float32Array.of(value) });
    };
    const size = g.node('Abs', [x], { name: `${path}/Abs` });
    const largest = g.node('ReduceMax', [size, g.integers(`${path}/axes`, [-1])], {
      name: `${path}/ReduceMax`,
      keepdims: 1,
    });
    const above = g.node('Max', [largest, scalar('least', 1e-12)], { name: `${path}/Max` });
    const scale = g.node('Div', [above, scalar('steps', 127)], { name: `${path}/Div` });
    const scaled = g.node('Div', [x, scale], { name: `${path}/Div_1` });
    const rounded = g.node('Round', [scaled], { name: `${path}/Round` });
    const shifted = g.node('Add', [rounded, scalar('middle', 128)], { name: `${path}/Add` });
    const bytes = g.node('Cast', [shifted], { name: `${path}/Cast`, to: 2 });
    // Both unsigned: ORT 1.30 has no fast kernel for two signed on AVX2, and with one signed pairs of products saturate there.
    const middles = ['A', 'B'].map((side) =>
      g.constant(`${path}/${side}_zero_point`, { dtype: 'uint8', shape: [], data: Uint8Array.of(128) }),
    );
    const product = g.node('MatMulInteger', [bytes, weight, ...middles], { name: `${path}/MatMulInteger` });
    const float = g.node('Cast', [product], { name: `${path}/Cast_1`, to: 1 });
    const byRow = g.node('Mul', [float, scale], { name: `${path}/Mul` });
    return g.node('Mul', [byRow, scales], { name: `${path}/Mul_1`, as });
  }

  #weight(name: string, dtype: string, shape: readonly number[], make: () => TypedArray): string {
    if (!this.#g.weights.some((weight) => weight.name === name)) this.#g.weights.push({ name, dtype, shape, make });
    return name;
  }
}

/** Seeded by its name, so that every form has the same. */
function made(name: string, shape: readonly number[], seed: number): Float32Array {
  let hash = seed;
  for (const letter of name) hash = (hash * 31 + letter.charCodeAt(0)) % 2 ** 31;
  const random = seeded(hash);
  const count = shape.reduce((a, b) => a * b, 1);
  if (shape.length === 1) return Float32Array.from({ length: count }, () => 1 + (random() - 0.5) * 0.2);
  const scale = name.includes('embed') ? 1 : 1.7 / Math.sqrt(shape[1]!);
  return Float32Array.from({ length: count }, () => (random() * 2 - 1) * scale);
}

function transposed<T extends Float32Array | Uint8Array>(values: T, rows: number, columns: number): T {
  const turned = new (values.constructor as { new (length: number): T })(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!;
  return turned;
}

/** Unsigned with zero point 128. */
function perRow(values: Float32Array, rows: number, columns: number): { bytes: Uint8Array; scales: Float32Array } {
  const bytes = new Uint8Array(values.length);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * columns, (r + 1) * columns);
    const scale = Math.max(1e-12, largestOf(row)) / 127;
    scales[r] = scale;
    for (let c = 0; c < columns; c++) bytes[r * columns + c] = Math.round(row[c]! / scale) + 128;
  }
  return { bytes, scales };
}

/** Unsigned with zero point 128, as MatMulNBits has it by default. */
function blockwise(values: Float32Array): { bytes: Uint8Array; scales: Float32Array } {
  const bytes = new Uint8Array(values.length);
  const scales = new Float32Array(values.length / BLOCK);
  for (let b = 0; b < scales.length; b++) {
    const block = values.subarray(b * BLOCK, (b + 1) * BLOCK);
    const scale = Math.max(1e-12, largestOf(block)) / 127;
    scales[b] = scale;
    for (let n = 0; n < BLOCK; n++) bytes[b * BLOCK + n] = Math.round(block[n]! / scale) + 128;
  }
  return { bytes, scales };
}

function largestOf(values: Float32Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}
