/** Quantised ONNX models: int8 with QuantizeLinear and DequantizeLinear, int4 with MatMulNBits. */
import { Graph } from '../../src/prove/models/graph.js';

/** Convolutions between quantise and dequantise, as `quantize_static` writes them: image (batch, 3, 8, 8) to (batch, 4, 8, 8). */
export function qdq(blocks = 3, seed = 1): Graph {
  const g = new Graph('qdq', seed);
  const scale = g.constant('scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.02) });
  const zero = g.constant('zero', { dtype: 'uint8', shape: [], data: Uint8Array.of(128) });
  const weightScale = g.constant('weight_scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.004) });
  const weightZero = g.constant('weight_zero', { dtype: 'int8', shape: [], data: Int8Array.of(0) });
  const through = (x: string, at: string) => {
    const quantised = g.node('QuantizeLinear', [x, scale, zero], { name: `${at}/QuantizeLinear` });
    return g.node('DequantizeLinear', [quantised, scale, zero], { name: `${at}/DequantizeLinear` });
  };
  let x = through(g.input('image', 'float32', ['batch', 3, 8, 8]), '/input');
  let channels = 3;
  for (let n = 0; n < blocks; n++) {
    const at = `/blocks.${n}`;
    const stored = g.weight(`blocks.${n}.weight_quantized`, [4, channels, 3, 3], 'int8', 127);
    const weight = g.node('DequantizeLinear', [stored, weightScale, weightZero], {
      name: `${at}/weight/DequantizeLinear`,
    });
    const made = g.node('Conv', [x, weight], { name: `${at}/Conv`, kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    x = through(g.node('Relu', [made], { name: `${at}/Relu` }), at);
    channels = 4;
  }
  g.output(x, 'float32', ['batch', 4, 8, 8]);
  return g;
}

/** Layers of 4-bit weights: x (batch, 64) to (batch, 64). */
export function int4(layers = 3, seed = 1): Graph {
  const g = new Graph('int4', seed);
  const width = 64;
  const block = 32;
  let x = g.input('x', 'float32', ['batch', width]);
  for (let n = 0; n < layers; n++) {
    const packed = g.weight(`w${n}_Q4`, [width, width / block, block / 2], 'uint8', 256);
    const scales = g.weight(`w${n}_scales`, [width * (width / block)], 'float32', 0.05);
    x = g.node('MatMulNBits', [x, packed, scales], {
      name: `/layers.${n}/MatMul_Q4`,
      domain: 'com.microsoft',
      K: width,
      N: width,
      bits: 4,
      block_size: block,
    });
    x = g.node('Tanh', [x], { name: `/layers.${n}/Tanh` });
  }
  g.output(x, 'float32', ['batch', width]);
  return g;
}

export interface WeightOnly {
  readonly dtype?: 'int8' | 'int4';
  /** What the layers share: the dequantised weights, or only the values of their scales. */
  readonly shares?: 'weights' | 'scale' | 'nothing';
  /** The ops between the dequantised weights and their reader. */
  readonly through?: 'Transpose' | 'Cast' | 'Reshape';
  /** What follows a layer: a Tanh, a Relu, a Relu with a parallel op, or a bias and alternately a Relu or a Tanh. */
  readonly ends?: 'Tanh' | 'Relu' | 'residual' | 'bias';
  readonly layers?: number;
  readonly seed?: number;
}

/** Layers of dequantised weights and float activations, as weight-only quantisers write them: x (batch, 64) to (batch, 64). */
export function weightOnly({
  dtype = 'int8',
  shares = 'nothing',
  through,
  ends = 'Tanh',
  layers = 3,
  seed = 1,
}: WeightOnly = {}): Graph {
  const g = new Graph('weight_only', seed);
  let x = g.input('x', 'float32', ['batch', WIDTH]);
  let shared: string | undefined;
  for (let n = 0; n < layers; n++) {
    const at = `/layers.${n}`;
    shared ??= dequantised(g, at, dtype, shares === 'nothing' ? 0.01 * (n + 1) : 0.02, through);
    const product = g.node('MatMul', [x, shared], { name: `${at}/MatMul` });
    const sum =
      ends === 'bias'
        ? g.node('Add', [product, g.weight(`${at}/bias`, [WIDTH], 'float32', 0.5)], { name: `${at}/Add` })
        : product;
    x = g.node(ends === 'Tanh' || (ends === 'bias' && n % 2 === 1) ? 'Tanh' : 'Relu', [sum], {
      name: `${at}/activation`,
    });
    if (ends === 'residual') {
      const inner = g.node('Sigmoid', [x], { name: `${at}/Sigmoid` });
      x = g.node('Add', [inner, product], { name: `${at}/Add` });
    }
    if (shares !== 'weights') shared = undefined;
  }
  g.output(x, 'float32', ['batch', WIDTH]);
  return g;
}

const WIDTH = 64;
const BLOCK = 32;

function dequantised(
  g: Graph,
  at: string,
  dtype: 'int8' | 'int4',
  scale: number,
  through: WeightOnly['through'],
): string {
  const name = `${at}/weight`;
  const stored =
    dtype === 'int8'
      ? g.weight(`${name}_quantized`, [WIDTH, WIDTH], 'int8', 127)
      : // Two values per byte; any byte is valid.
        g.constant(`${name}_quantized`, {
          dtype: 'int4',
          shape: [WIDTH, WIDTH],
          data: Int8Array.from({ length: (WIDTH * WIDTH) / 2 }, (_, i) => ((i + at.length) * 89) % 256),
        });
  const scales =
    dtype === 'int8'
      ? g.constant(`${name}_scale`, { dtype: 'float32', shape: [], data: Float32Array.of(scale) })
      : g.weight(`${name}_scale`, [WIDTH / BLOCK, WIDTH], 'float32', 2 * scale);
  const blocks = dtype === 'int4' ? { axis: 0, block_size: BLOCK } : {};
  const made = g.node('DequantizeLinear', [stored, scales], { name: `${name}/DequantizeLinear`, ...blocks });
  if (through === 'Transpose') return g.node('Transpose', [made], { name: `${name}/Transpose`, perm: [1, 0] });
  if (through === 'Cast') return g.node('Cast', [made], { name: `${name}/Cast`, to: 1 });
  if (through !== 'Reshape') return made;
  return g.node('Reshape', [made, g.integers(`${name}_shape`, [WIDTH, WIDTH])], { name: `${name}/Reshape` });
}

/** An int8 embedding that is also the last layer, transposed, as language models tie them: ids (batch, 4) to logits (batch, 4, 64). */
export function tiedWeights(seed = 1): Graph {
  const g = new Graph('tied', seed);
  const ids = g.input('ids', 'int64', ['batch', 4]);
  const table = dequantised(g, '/embedding', 'int8', 0.02, undefined);
  let x = g.node('Gather', [table, ids], { name: '/embedding/Gather' });
  for (let n = 0; n < 2; n++) {
    const at = `/layers.${n}`;
    const weight = dequantised(g, at, 'int4', 0.03, undefined);
    x = g.node('Tanh', [g.node('MatMul', [x, weight], { name: `${at}/MatMul` })], { name: `${at}/Tanh` });
  }
  const head = g.node('Transpose', [table], { name: '/head/Transpose', perm: [1, 0] });
  g.output(g.node('MatMul', [x, head], { name: '/head/MatMul' }), 'float32', ['batch', 4, WIDTH]);
  return g;
}

/** The op between two MatMuls of `qdqMlp`, each with its own quantise and dequantise. */
export type Between = 'Reshape' | 'Transpose' | 'MaxPool' | 'Add' | 'Relu' | 'twice';

/** MatMuls of quantised rows and weights, with an op in each group that ORT moves or fuses: x (batch, 64) to (batch, 64). */
export function qdqMlp(between: Between, seed = 1): Graph {
  const g = new Graph('qdq_mlp', seed);
  const scalar = (name: string, dtype: 'float32' | 'uint8' | 'int8', value: number) =>
    g.constant(name, {
      dtype,
      shape: [],
      data: dtype === 'float32' ? Float32Array.of(value) : Int8Array.of(value),
    });
  const zero = scalar('zero', 'uint8', 128);
  const weightZero = scalar('weight_zero', 'int8', 0);
  const through = (x: string, at: string, by: string) => {
    const quantised = g.node('QuantizeLinear', [x, by, zero], { name: `${at}/QuantizeLinear` });
    return g.node('DequantizeLinear', [quantised, by, zero], { name: `${at}/DequantizeLinear` });
  };
  const reshape = (x: string, at: string, ...shape: number[]) =>
    g.node('Reshape', [x, g.integers(`${at}_shape`, shape)], { name: at });
  const BETWEEN: Record<Between, (x: string, at: string) => string> = {
    Reshape: (x, at) => reshape(reshape(x, `${at}/Reshape`, -1, 8, 8), `${at}/back/Reshape`, -1, WIDTH),
    Transpose: (x, at) => {
      const parts = reshape(x, `${at}/Reshape`, -1, 8, 8);
      const turned = g.node('Transpose', [parts], { name: `${at}/Transpose`, perm: [0, 2, 1] });
      return reshape(turned, `${at}/back/Reshape`, -1, WIDTH);
    },
    MaxPool: (x, at) => {
      const parts = reshape(x, `${at}/Reshape`, -1, 1, 8, 8);
      const pooled = g.node('MaxPool', [parts], { name: `${at}/MaxPool`, kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
      return reshape(pooled, `${at}/back/Reshape`, -1, WIDTH);
    },
    Add: (x, at) => g.node('Add', [x, g.weight(`${at}_bias`, [WIDTH], 'float32', 1)], { name: `${at}/Add` }),
    Relu: (x, at) => g.node('Relu', [x], { name: `${at}/Relu` }),
    twice: (x) => x,
  };
  const scale = scalar('scale', 'float32', 0.02);
  const other = scalar('other_scale', 'float32', 0.023);
  let x = through(g.input('x', 'float32', ['batch', WIDTH]), '/input', scale);
  for (let n = 0; n < 3; n++) {
    const at = `/layers.${n}`;
    const stored = g.weight(`${at}/weight_quantized`, [WIDTH, WIDTH], 'int8', 127);
    const weight = g.node(
      'DequantizeLinear',
      [stored, scalar(`${at}/weight_scale`, 'float32', 0.002 + 1e-4 * n), weightZero],
      { name: `${at}/weight/DequantizeLinear` },
    );
    // Half of them before the rows are quantised, half after.
    if (n % 2 === 1) x = BETWEEN[between](x, `${at}/before`);
    x = g.node('MatMul', [x, weight], { name: `${at}/MatMul` });
    x = through(n % 2 === 0 ? BETWEEN[between](x, at) : x, `${at}/out`, scale);
    if (between === 'twice') x = through(x, `${at}/again`, other);
  }
  g.output(x, 'float32', ['batch', WIDTH]);
  return g;
}

/** Layers that quantise their input by the minimum and maximum of all rows: x (batch, 8) to (batch, 8). */
export function dynamic(layers = 3, seed = 1): Graph {
  const g = new Graph('dynamic', seed);
  const zero = g.constant('weight_zero', { dtype: 'int8', shape: [], data: Int8Array.of(0) });
  let x = g.input('x', 'float32', ['batch', 8]);
  for (let n = 0; n < layers; n++) {
    const at = `/layers.${n}`;
    const weight = g.weight(`${at}/weight_quantized`, [8, 8], 'int8', 127);
    const scale = g.constant(`${at}/weight_scale`, { dtype: 'float32', shape: [], data: Float32Array.of(0.01) });
    const bytes = g.node('DynamicQuantizeLinear', [x], { name: `${at}/DynamicQuantizeLinear`, outputs: 3 });
    const [by, zeroPoint] = [`${bytes}_1`, `${bytes}_2`];
    const product = g.node('MatMulInteger', [bytes, weight, zeroPoint, zero], { name: `${at}/MatMulInteger` });
    const scaled = g.node('Mul', [
      g.node('Cast', [product], { name: `${at}/Cast`, to: 1 }),
      g.node('Mul', [by, scale]),
    ]);
    const sum = g.node('Add', [scaled, g.weight(`${at}/bias`, [8], 'float32', 0.5)], { name: `${at}/Add` });
    x = g.node('Relu', [sum], { name: `${at}/Relu` });
  }
  g.output(x, 'float32', ['batch', 8]);
  return g;
}
