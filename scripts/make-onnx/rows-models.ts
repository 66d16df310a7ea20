/** Small ONNX models whose rows are not on the first axis of every input. */
import { Graph } from '../../src/prove/models/graph.js';
import { linear } from './rows-second.js';

/** A decoder step with its cache: ids (batch, seq) and past keys and values, (batch, 2, past, 4) each, to logits and the longer cache. */
export function cachedDecoder(layers = 2, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const [heads, size, width] = [2, 4, 8];
  const ids = g.input('ids', 'int64', ['batch', 'seq']);
  let x = g.node('Gather', [g.weight('embed', [20, width], 'float32', 1), ids], { name: '/Gather' });
  const toHeads = g.integers('to_heads', [0, 0, heads, size]);
  const fromHeads = g.integers('from_heads', [0, 0, width]);
  const cache = ['batch', heads, 'past', size];
  const longer = ['batch', heads, 'past + seq', size];
  for (let n = 0; n < layers; n++) {
    const at = `/layers.${n}`;
    const part = (name: string) => {
      const flat = linear(g, x, `${at}/${name}`, width, width);
      const split = g.node('Reshape', [flat, toHeads], { name: `${at}/${name}/Reshape` });
      return g.node('Transpose', [split], { name: `${at}/${name}/Transpose`, perm: [0, 2, 1, 3] });
    };
    const grown = (name: string) => {
      const before = g.input(`past.${n}.${name}`, 'float32', cache);
      const both = g.node('Concat', [before, part(name)], { name: `${at}/${name}/Concat`, axis: 2 });
      const after = g.node('Identity', [both], { name: `${at}/${name}/Identity`, as: `present.${n}.${name}` });
      g.output(after, 'float32', longer);
      return both;
    };
    const [key, value] = [grown('key'), grown('value')];
    const turned = g.node('Transpose', [key], { name: `${at}/Transpose`, perm: [0, 1, 3, 2] });
    const scores = g.node('MatMul', [part('query'), turned], { name: `${at}/MatMul` });
    const weights = g.node('Softmax', [scores], { name: `${at}/Softmax`, axis: -1 });
    const context = g.node('MatMul', [weights, value], { name: `${at}/MatMul_1` });
    const back = g.node('Transpose', [context], { name: `${at}/Transpose_1`, perm: [0, 2, 1, 3] });
    const joined = g.node('Reshape', [back, fromHeads], { name: `${at}/Reshape` });
    x = g.node('Add', [x, linear(g, joined, `${at}/out`, width, width)], { name: `${at}/Add` });
  }
  g.output(g.node('MatMul', [x, g.weight('head', [width, 20])], { name: '/head/MatMul', as: 'logits' }), 'float32', [
    'batch',
    'seq',
    20,
  ]);
  return g;
}

/** A speech synthesiser as VITS exports it: ids (N, L), lengths (N), and three scales for all rows, to (N, L, 8). */
export function voice(seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const ids = g.input('ids', 'int64', ['N', 'L']);
  const lengths = g.input('lengths', 'int64', ['N']);
  const scales = g.input('scales', 'float32', [3]);
  const scale = (n: number) =>
    g.node('Gather', [scales, g.integers(`scale_${n}`, [n], [])], { name: `/scale.${n}/Gather` });
  let x = g.node('Gather', [g.weight('embed', [20, 8], 'float32', 1), ids], { name: '/embed/Gather' });
  const length = g.node('Cast', [lengths], { name: '/length/Cast', to: 1 });
  const wide = g.node('Unsqueeze', [length, g.integers('axes', [1, 2])], { name: '/length/Unsqueeze' });
  x = g.node('Div', [x, wide], { name: '/length/Div' });
  for (let n = 0; n < 3; n++) {
    x = g.node('MatMul', [x, g.weight(`w${n}`, [8, 8])], { name: `/layers.${n}/MatMul` });
    x = g.node('Tanh', [g.node('Mul', [x, scale(n)], { name: `/layers.${n}/Mul` })], { name: `/layers.${n}/Tanh` });
  }
  g.output(g.node('Identity', [x], { name: '/Identity', as: 'audio' }), 'float32', ['N', 'L', 8]);
  return g;
}

/** A speech detector with its state: input (N, window), state (2, N, width), the sample rate as one number; to (N, 1) and the new state. */
export function stateBeside(seed = 1, window = 6, width = 4): Graph {
  const g = new Graph('main_graph', seed);
  const input = g.input('input', 'float32', ['N', window]);
  const state = g.input('state', 'float32', [2, 'N', width]);
  const rate = g.node('Cast', [g.input('sr', 'int64', [])], { name: '/sr/Cast', to: 1 });
  const thousand = g.constant('thousand', { dtype: 'float32', shape: [], data: Float32Array.of(16000) });
  const share = g.node('Div', [rate, thousand], { name: '/sr/Div' });
  const seen = g.node('MatMul', [input, g.weight('w', [window, width])], { name: '/in/MatMul' });
  const scaled = g.node('Mul', [seen, share], { name: '/in/Mul' });
  const next = g.node('Tanh', [g.node('Add', [state, scaled], { name: '/cell/Add' })], {
    name: '/cell/Tanh',
    as: 'stateN',
  });
  const sum = g.node('ReduceSum', [next, g.integers('axes', [0])], { name: '/ReduceSum', keepdims: 0 });
  const score = g.node('MatMul', [sum, g.weight('head', [width, 1])], { name: '/head/MatMul' });
  g.output(g.node('Sigmoid', [score], { name: '/Sigmoid', as: 'output' }), 'float32', ['N', 1]);
  g.output(next, 'float32', [2, 'N', width]);
  return g;
}

/** Time first, also in its input: x (6, N, 3) to (6, N, 4). `rows` is the name of the rows' dimension. */
export function timeMajor(rows: string | null = 'N', seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  let x = g.node('MatMul', [g.input('x', 'float32', [6, rows, 3]), g.weight('w0', [3, 4])], {
    name: '/layers.0/MatMul',
  });
  const before = g.node('ReduceMean', [x, g.integers('axes', [0])], { name: '/layers.0/ReduceMean' });
  x = g.node('Sub', [x, before], { name: '/layers.0/Sub' });
  x = g.node('Tanh', [g.node('MatMul', [x, g.weight('w1', [4, 4])], { name: '/layers.1/MatMul' })], {
    name: '/layers.1/Tanh',
  });
  g.output(g.node('Identity', [x], { name: '/Identity', as: 'y' }), 'float32', [6, rows, 4]);
  return g;
}

/** Two inputs that fix different numbers of rows: a (4, 3) and b (2, 3). */
export function disagreeing(seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const a = g.node('MatMul', [g.input('a', 'float32', [4, 3]), g.weight('w', [3, 3])], { name: '/MatMul' });
  const sum = g.node('ReduceSum', [g.input('b', 'float32', [2, 3]), g.integers('axes', [0])], { name: '/ReduceSum' });
  g.output(g.node('Add', [a, sum], { name: '/Add', as: 'y' }), 'float32', [4, 3]);
  return g;
}

/** Declares any number of rows but takes only one: x (batch, 2, 4) to (batch, 5). */
export function oneInside(seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const flat = g.node('Reshape', [g.input('x', 'float32', ['batch', 2, 4]), g.integers('shape', [1, 8])], {
    name: '/Reshape',
  });
  let x = g.node('Relu', [g.node('MatMul', [flat, g.weight('w0', [8, 8])], { name: '/layers.0/MatMul' })], {
    name: '/layers.0/Relu',
  });
  x = g.node('Tanh', [g.node('MatMul', [x, g.weight('w1', [8, 5])], { name: '/layers.1/MatMul' })], {
    name: '/layers.1/Tanh',
  });
  g.output(g.node('Identity', [x], { name: '/Identity', as: 'y' }), 'float32', ['batch', 5]);
  return g;
}

/** An input without a declared shape or rank; it takes (rows, 8). */
export function rankless(seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  let x = g.input('x', 'float32', null);
  for (let n = 0; n < 2; n++) {
    x = g.node('Gemm', [x, g.weight(`w${n}`, [8, 8])], { name: `/layers.${n}/Gemm` });
    x = g.node('Tanh', [x], { name: `/layers.${n}/Tanh` });
  }
  g.output(g.node('Identity', [x], { name: '/Identity', as: 'y' }), 'float32');
  return g;
}

/** An input with a default value, a temperature: x (batch, 4) to (batch, 4). */
export function defaultValued(temperature = 2, seed = 1): Graph {
  const g = new Graph('main_graph', seed);
  const x = g.input('x', 'float32', ['batch', 4]);
  g.input('temperature', 'float32', [1]);
  const two = g.constant('temperature', { dtype: 'float32', shape: [1], data: Float32Array.of(temperature) });
  const half = g.node('Reciprocal', [two], { name: '/Reciprocal' });
  const hidden = g.node('MatMul', [x, g.weight('w0', [4, 4])], { name: '/layers.0/MatMul' });
  const inner = g.node('Mul', [hidden, half], { name: '/layers.0/Mul' });
  const scores = g.node('MatMul', [inner, g.weight('w1', [4, 4])], { name: '/layers.1/MatMul' });
  const scaled = g.node('Mul', [scores, half], { name: '/layers.1/Mul' });
  g.output(g.node('Tanh', [scaled], { name: '/Tanh', as: 'y' }), 'float32', ['batch', 4]);
  return g;
}
