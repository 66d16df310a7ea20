/** Small ONNX models that transpose their rows to the second axis, as PyTorch's transformers and recurrent layers do. */
import { Graph } from '../../src/prove/models/graph.js';

const WIDTH = 32;
const HEADS = 4;

/** Weights and a bias, with PyTorch's names. */
export function linear(g: Graph, x: string, at: string, from: number, to: number): string {
  const weight = g.weight(`${at.slice(1).replaceAll('/', '.')}.weight`, [from, to]);
  const bias = g.weight(`${at.slice(1).replaceAll('/', '.')}.bias`, [to], 'float32', 0.1);
  return g.node('Add', [g.node('MatMul', [x, weight], { name: `${at}/MatMul` }), bias], { name: `${at}/Add` });
}

function norm(g: Graph, x: string, at: string): string {
  const ones = { dtype: 'float32', shape: [WIDTH], data: new Float32Array(WIDTH).fill(1) };
  const name = at.slice(1).replaceAll('/', '.');
  const bias = g.weight(`${name}.bias`, [WIDTH], 'float32', 0.1);
  return g.node('LayerNormalization', [x, g.constant(`${name}.weight`, ones), bias], {
    name: `${at}/LayerNormalization`,
    axis: -1,
  });
}

/** Constants that blocks share. */
interface Shapes {
  readonly toHeads: string;
  readonly fromHeads: string;
  readonly scale: string;
}

function shapesOf(g: Graph): Shapes {
  const scale = Float32Array.of(1 / Math.sqrt(WIDTH / HEADS));
  return {
    // From (steps, rows, width): PyTorch merges rows and heads into one axis.
    toHeads: g.integers('to_heads', [0, -1, WIDTH / HEADS]),
    fromHeads: g.integers('from_heads', [0, -1, WIDTH]),
    scale: g.constant('scale', { dtype: 'float32', shape: [], data: scale }),
  };
}

/** A block of `nn.TransformerEncoder` that is not batch first: x is (steps, rows, width). `mask` is added to the scores. */
function encoderBlock(g: Graph, x: string, at: string, shapes: Shapes, mask?: string): string {
  const heads = (part: string, perm: readonly number[]) => {
    const flat = linear(g, x, `${at}/self_attn/${part}`, WIDTH, WIDTH);
    const split = g.node('Reshape', [flat, shapes.toHeads], { name: `${at}/self_attn/${part}/Reshape` });
    return g.node('Transpose', [split], { name: `${at}/self_attn/${part}/Transpose`, perm });
  };
  const query = g.node('Mul', [heads('query', [1, 0, 2]), shapes.scale], { name: `${at}/self_attn/Mul` });
  let scores = g.node('MatMul', [query, heads('key', [1, 2, 0])], { name: `${at}/self_attn/MatMul` });
  if (mask) scores = g.node('Add', [scores, mask], { name: `${at}/self_attn/Add` });
  const weights = g.node('Softmax', [scores], { name: `${at}/self_attn/Softmax`, axis: -1 });
  const context = g.node('MatMul', [weights, heads('value', [1, 0, 2])], { name: `${at}/self_attn/MatMul_1` });
  const turned = g.node('Transpose', [context], { name: `${at}/self_attn/Transpose`, perm: [1, 0, 2] });
  const joined = g.node('Reshape', [turned, shapes.fromHeads], { name: `${at}/self_attn/Reshape` });
  const attended = norm(
    g,
    g.node('Add', [x, linear(g, joined, `${at}/self_attn/out_proj`, WIDTH, WIDTH)], { name: `${at}/Add` }),
    `${at}/norm1`,
  );
  const inner = g.node('Relu', [linear(g, attended, `${at}/linear1`, WIDTH, 2 * WIDTH)], { name: `${at}/Relu` });
  const outer = linear(g, inner, `${at}/linear2`, 2 * WIDTH, WIDTH);
  return norm(g, g.node('Add', [attended, outer], { name: `${at}/Add_1` }), `${at}/norm2`);
}

/** PyTorch's `nn.TransformerEncoder` with its default layout, batch second, between two transpositions: x (batch, 5, 32) to the same. */
export function batchSecond(layers = 3, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const shapes = shapesOf(g);
  let x = g.node('Transpose', [g.input('x', 'float32', ['batch', 5, WIDTH])], { name: '/Transpose', perm: [1, 0, 2] });
  for (let n = 0; n < layers; n++) x = encoderBlock(g, x, `/encoder/layers.${n}`, shapes);
  g.output(g.node('Transpose', [x], { name: '/Transpose_1', as: 'y', perm: [1, 0, 2] }), 'float32', [
    'batch',
    5,
    WIDTH,
  ]);
  return g;
}

/** CLIP's text tower: ids (batch, 7), batch second inside, a causal mask, and a projection of the state at the largest id. */
export function clipText(layers = 2, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const steps = 7;
  const ids = g.input('ids', 'int64', ['batch', steps]);
  const shapes = shapesOf(g);
  const causal = Float32Array.from({ length: steps * steps }, (_, n) => (n % steps > n / steps ? -1e4 : 0));
  const mask = g.constant('mask', { dtype: 'float32', shape: [steps, steps], data: causal });
  const words = g.node('Gather', [g.weight('token_embedding.weight', [50, WIDTH], 'float32', 1), ids], {
    name: '/Gather',
  });
  let x = g.node('Add', [words, g.weight('positional_embedding', [steps, WIDTH], 'float32', 0.3)], { name: '/Add' });
  x = g.node('Transpose', [x], { name: '/Transpose', perm: [1, 0, 2] });
  for (let n = 0; n < layers; n++) x = encoderBlock(g, x, `/transformer/resblocks.${n}`, shapes, mask);
  x = norm(g, g.node('Transpose', [x], { name: '/Transpose_1', perm: [1, 0, 2] }), '/ln_final');
  const rows = g.node('Gather', [g.node('Shape', [ids], { name: '/Shape' }), g.integers('first', [0], [])], {
    name: '/Gather_1',
  });
  const range = g.node('Range', [g.integers('zero', [0], []), rows, g.integers('one', [1], [])], { name: '/Range' });
  const last = g.node('ArgMax', [ids], { name: '/ArgMax', axis: 1, keepdims: 0 });
  const wide = (value: string, name: string) =>
    g.node('Unsqueeze', [value, g.integers(`${name}_axes`, [1])], { name: `/${name}` });
  const places = g.node('Concat', [wide(range, 'Unsqueeze'), wide(last, 'Unsqueeze_1')], { name: '/Concat', axis: 1 });
  const found = g.node('GatherND', [x, places], { name: '/GatherND' });
  const projected = g.node('MatMul', [found, g.weight('text_projection', [WIDTH, 16])], {
    name: '/MatMul',
    as: 'features',
  });
  g.output(projected, 'float32', ['batch', 16]);
  return g;
}

/** `layers` of LSTM or GRU, with rows on the second axis: x (batch, 6, 8) to scores (batch, 4). */
export function recurrent(type: 'LSTM' | 'GRU', layers = 3, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const [steps, hidden] = [6, 12];
  const gates = type === 'LSTM' ? 4 : 3;
  let from = 8;
  let x = g.node('Transpose', [g.input('x', 'float32', ['batch', steps, from])], {
    name: '/Transpose',
    perm: [1, 0, 2],
  });
  const one = g.integers('one', [1]);
  for (let n = 0; n < layers; n++) {
    const weights = [
      g.weight(`rnn.weight_ih_l${n}`, [1, gates * hidden, from], 'float32', 0.4),
      g.weight(`rnn.weight_hh_l${n}`, [1, gates * hidden, hidden], 'float32', 0.4),
      g.weight(`rnn.bias_l${n}`, [1, 2 * gates * hidden], 'float32', 0.2),
    ];
    const own = { name: `/rnn.${n}/${type}`, hidden_size: hidden };
    const all = g.node(type, [x, ...weights], type === 'GRU' ? { ...own, linear_before_reset: 1 } : own);
    x = g.node('Squeeze', [all, one], { name: `/rnn.${n}/Squeeze` });
    from = hidden;
  }
  const last = g.node('Gather', [x, g.integers('last', [steps - 1], [])], { name: '/Gather', axis: 0 });
  g.output(g.node('MatMul', [last, g.weight('head', [hidden, 4])], { name: '/head/MatMul', as: 'scores' }), 'float32', [
    'batch',
    4,
  ]);
  return g;
}

/** Whisper's encoder: a spectrogram (batch, 8, 12) through two convolutions, one of which halves the steps, then blocks. */
export function whisper(layers = 2, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const conv = (x: string, from: number, stride: number, n: number) => {
    const at = `/conv${n}`;
    const weights = [g.weight(`conv${n}.weight`, [WIDTH, from, 3], 'float32', 0.3), g.weight(`conv${n}.bias`, [WIDTH])];
    const made = g.node('Conv', [x, ...weights], {
      name: `${at}/Conv`,
      kernel_shape: [3],
      pads: [1, 1],
      strides: [stride],
    });
    const gate = g.node('Sigmoid', [made], { name: `${at}/Sigmoid` });
    return g.node('Mul', [made, gate], { name: `${at}/Mul` });
  };
  const mel = g.input('mel', 'float32', ['batch', 8, 12]);
  const steps = conv(conv(mel, 8, 1, 1), WIDTH, 2, 2);
  let x = g.node('Transpose', [steps], { name: '/Transpose', perm: [0, 2, 1] });
  x = g.node('Add', [x, g.weight('positional_embedding', [6, WIDTH], 'float32', 0.3)], { name: '/Add' });
  x = g.node('Transpose', [x], { name: '/Transpose_1', perm: [1, 0, 2] });
  const shapes = shapesOf(g);
  for (let n = 0; n < layers; n++) x = encoderBlock(g, x, `/blocks.${n}`, shapes);
  x = norm(g, g.node('Transpose', [x], { name: '/Transpose_2', perm: [1, 0, 2] }), '/ln_post');
  g.output(g.node('Identity', [x], { name: '/Identity', as: 'states' }), 'float32', ['batch', 6, WIDTH]);
  return g;
}

/** Ids (batch, 7), transposed at once; each block adds its own embedding of the ids, as in Gemma 3n. The last table has 40 ids, the others 50. */
export function layerEmbeddings(layers = 3, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const steps = 7;
  const shapes = shapesOf(g);
  const ids = g.node('Transpose', [g.input('ids', 'int64', ['batch', steps])], { name: '/Transpose', perm: [1, 0] });
  const words = (at: string, count: number) => {
    const table = g.weight(`${at.slice(1).replaceAll('/', '.')}.weight`, [count, WIDTH], 'float32', 1);
    return g.node('Gather', [table, ids], { name: `${at}/Gather` });
  };
  let x = words('/embed_tokens', 50);
  for (let n = 0; n < layers; n++) {
    const at = `/layers.${n}`;
    const own = words(`${at}/per_layer_input`, n === layers - 1 ? 40 : 50);
    x = g.node('Add', [encoderBlock(g, x, at, shapes), own], { name: `${at}/per_layer_input/Add` });
  }
  g.output(g.node('Transpose', [x], { name: '/Transpose_1', as: 'states', perm: [1, 0, 2] }), 'float32', [
    'batch',
    steps,
    WIDTH,
  ]);
  return g;
}
