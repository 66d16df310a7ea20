/** Transformer encoders with seeded weights, with the layout and names of PyTorch's exporter. */
import type { DType } from '../../tensor.js';
import { Graph } from './graph.js';
import { toHalf } from './seeded.js';

export interface TransformerShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly ffn: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly dtype: 'float32' | 'float16';
  /** Kinds of tokens; with them there is an input `token_type_ids`. Default none. */
  readonly types?: number;
  /** With them the output is `logits` (batch, labels) alone, of the pooled first token. */
  readonly labels?: number;
}

export const BERT_BASE: TransformerShape = {
  layers: 12,
  hidden: 768,
  heads: 12,
  ffn: 3072,
  vocabulary: 30522,
  positions: 512,
  dtype: 'float32',
};

/** BERT: `input_ids` and `attention_mask`, both int64 (batch, sequence), to `last_hidden_state` (batch, sequence, hidden) and `pooler_output` (batch, hidden). */
export function bert(shape: TransformerShape, seed = 1): Graph {
  const { layers, hidden, vocabulary, positions, dtype } = shape;
  const g = new Graph('main_graph', seed);
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const k = constantsOf(g, shape);
  const at = '/embeddings';
  const words = g.node('Gather', [g.weight('embeddings.word_embeddings.weight', [vocabulary, hidden], dtype, 1), ids], {
    name: `${at}/word_embeddings/Gather`,
  });
  const length = g.node('Shape', [ids], { name: `${at}/Shape`, start: 1, end: 2 });
  const table = g.weight('embeddings.position_embeddings.weight', [positions, hidden], dtype, 1);
  const places = g.node('Slice', [table, g.integers('zero', [0]), length, g.integers('axis0', [0])], {
    name: `${at}/position_embeddings/Slice`,
  });
  let x = g.node('Add', [words, places], { name: `${at}/Add` });
  if (shape.types) x = withTypes(g, x, at, shape);
  x = layerNorm(g, x, at, hidden, dtype);
  const wide = g.node('Unsqueeze', [mask, g.integers('axes12', [1, 2])], { name: '/Unsqueeze' });
  const numbers = g.node('Cast', [wide], { name: '/Cast', to: dtype === 'float16' ? 10 : 1 });
  const bias = g.node('Mul', [g.node('Sub', [k.one, numbers], { name: '/Sub' }), k.low], { name: '/Mul' });
  for (let n = 0; n < layers; n++) x = encoderLayer(g, x, bias, `/encoder/layer.${n}`, shape, k);
  if (!shape.labels) {
    const last = g.node('Identity', [x], { name: '/Identity', as: 'last_hidden_state' });
    g.output(last, dtype, ['batch', 'sequence', hidden]);
  }
  const first = g.node('Gather', [x, g.integers('first', [0], [])], { name: '/pooler/Gather', axis: 1 });
  const pooled = g.node(
    'Gemm',
    [first, g.weight('pooler.dense.weight', [hidden, hidden], dtype), zeros(g, 'pooler.dense.bias', hidden, dtype)],
    {
      name: '/pooler/dense/Gemm',
      transB: 1,
    },
  );
  const as = shape.labels ? undefined : 'pooler_output';
  const activated = g.node('Tanh', [pooled], { name: '/pooler/activation/Tanh', as });
  if (shape.labels) classifier(g, activated, shape, shape.labels);
  else g.output(activated, dtype, ['batch', hidden]);
  return g;
}

function withTypes(g: Graph, x: string, at: string, { types = 1, hidden, dtype }: TransformerShape): string {
  const ids = g.input('token_type_ids', 'int64', ['batch', 'sequence']);
  const table = g.weight('embeddings.token_type_embeddings.weight', [types, hidden], dtype, 1);
  const name = `${at}/token_type_embeddings`;
  return g.node('Add', [x, g.node('Gather', [table, ids], { name: `${name}/Gather` })], { name: `${name}/Add` });
}

function classifier(g: Graph, x: string, { hidden, dtype }: TransformerShape, labels: number): void {
  const weight = g.weight('classifier.weight', [labels, hidden], dtype, 1);
  const bias = g.weight('classifier.bias', [labels], dtype, 0.1);
  const logits = g.node('Gemm', [x, weight, bias], { name: '/classifier/Gemm', as: 'logits', transB: 1 });
  g.output(logits, dtype, ['batch', labels]);
}

interface Constants {
  readonly one: string;
  readonly low: string;
  readonly half: string;
  readonly rootTwo: string;
  readonly rootHead: string;
  readonly toHeads: string;
  readonly fromHeads: string;
}

function constantsOf(g: Graph, { hidden, heads, dtype }: TransformerShape): Constants {
  const scalar = (name: string, value: number) =>
    g.constant(name, {
      dtype,
      shape: [],
      data: dtype === 'float16' ? Uint16Array.of(toHalf(value)) : Float32Array.of(value),
    });
  return {
    one: scalar('one', 1),
    low: scalar('low', -10000),
    half: scalar('half', 0.5),
    rootTwo: scalar('root_two', Math.SQRT2),
    rootHead: scalar('root_head', Math.sqrt(hidden / heads)),
    toHeads: g.integers('to_heads', [0, 0, heads, hidden / heads]),
    fromHeads: g.integers('from_heads', [0, 0, hidden]),
  };
}

function encoderLayer(g: Graph, x: string, bias: string, at: string, shape: TransformerShape, k: Constants): string {
  const { hidden, ffn, dtype } = shape;
  const self = `${at}/attention/self`;
  const heads = (name: string, perm: number[]) => {
    const flat = linear(g, x, `${self}/${name}`, hidden, hidden, dtype);
    const split = g.node('Reshape', [flat, k.toHeads], { name: `${self}/${name}/Reshape` });
    return g.node('Transpose', [split], { name: `${self}/${name}/Transpose`, perm });
  };
  const query = heads('query', [0, 2, 1, 3]);
  const key = heads('key', [0, 2, 3, 1]);
  const value = heads('value', [0, 2, 1, 3]);
  let scores = g.node('MatMul', [query, key], { name: `${self}/MatMul` });
  scores = g.node('Div', [scores, k.rootHead], { name: `${self}/Div` });
  scores = g.node('Add', [scores, bias], { name: `${self}/Add` });
  scores = g.node('Softmax', [scores], { name: `${self}/Softmax`, axis: -1 });
  let context = g.node('MatMul', [scores, value], { name: `${self}/MatMul_1` });
  context = g.node('Transpose', [context], { name: `${self}/Transpose`, perm: [0, 2, 1, 3] });
  context = g.node('Reshape', [context, k.fromHeads], { name: `${self}/Reshape` });
  const out = linear(g, context, `${at}/attention/output/dense`, hidden, hidden, dtype);
  const attended = layerNorm(
    g,
    g.node('Add', [out, x], { name: `${at}/attention/output/Add` }),
    `${at}/attention/output`,
    hidden,
    dtype,
  );
  const inner = gelu(g, linear(g, attended, `${at}/intermediate/dense`, hidden, ffn, dtype), `${at}/intermediate`, k);
  const outer = linear(g, inner, `${at}/output/dense`, ffn, hidden, dtype);
  return layerNorm(g, g.node('Add', [outer, attended], { name: `${at}/output/Add` }), `${at}/output`, hidden, dtype);
}

function gelu(g: Graph, x: string, at: string, k: Constants): string {
  const name = (op: string) => `${at}/intermediate_act_fn/${op}`;
  const erf = g.node('Erf', [g.node('Div', [x, k.rootTwo], { name: name('Div') })], { name: name('Erf') });
  const both = g.node('Mul', [x, g.node('Add', [erf, k.one], { name: name('Add') })], { name: name('Mul') });
  return g.node('Mul', [both, k.half], { name: name('Mul_1') });
}

function linear(g: Graph, x: string, at: string, from: number, to: number, dtype: DType): string {
  const weight = g.weight(`${at.slice(1).replaceAll('/', '.')}.weight`, [from, to], dtype);
  const bias = g.weight(`${at.slice(1).replaceAll('/', '.')}.bias`, [to], dtype, 0.02);
  return g.node('Add', [bias, g.node('MatMul', [x, weight], { name: `${at}/MatMul` })], { name: `${at}/Add` });
}

function layerNorm(g: Graph, x: string, at: string, hidden: number, dtype: DType): string {
  const scope = `${at.slice(1).replaceAll('/', '.')}.LayerNorm`;
  const ones = dtype === 'float16' ? new Uint16Array(hidden).fill(toHalf(1)) : new Float32Array(hidden).fill(1);
  const scale = g.constant(`${scope}.weight`, { dtype, shape: [hidden], data: ones });
  return g.node('LayerNormalization', [x, scale, zeros(g, `${scope}.bias`, hidden, dtype)], {
    name: `${at}/LayerNorm/LayerNormalization`,
    axis: -1,
    epsilon: { float: 1e-12 },
  });
}

function zeros(g: Graph, name: string, hidden: number, dtype: DType): string {
  const data = dtype === 'float16' ? new Uint16Array(hidden) : new Float32Array(hidden);
  return g.constant(name, { dtype, shape: [hidden], data });
}
