/** Decoder-only language models of Llama's shape: their cache grown by Concat as optimum exports it, or kept in place by GroupQueryAttention. */

import { Graph } from '../../src/prove/models/graph.js';
import { DecoderWeights, type Linear, type Values } from './decoder-weights.js';

export interface DecoderShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ffn: number;
  readonly vocabulary: number;
  /** Most positions of the rotary tables. */
  readonly positions: number;
  readonly theta: number;
  readonly epsilon: number;
}

/** Small enough for a test. */
export const TINY_DECODER: DecoderShape = {
  layers: 4,
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headSize: 16,
  ffn: 96,
  vocabulary: 80,
  positions: 256,
  theta: 10_000,
  epsilon: 1e-5,
};

export interface DecoderOptions {
  /** `concat`: past, then Concat, then present; `in-place`: GroupQueryAttention with rotary embedding inside. */
  readonly form: 'concat' | 'in-place';
  readonly seed?: number;
  /** Values of a weight by its name in a checkpoint; default seeded. Matrices are [out, in]. */
  readonly valuesOf?: Values;
  /** How matrices are stored and multiplied. */
  readonly linear?: Linear;
}

/** The same seed gives both forms the same weights. */
export function decoder(shape: DecoderShape, { form, seed = 1, valuesOf, linear = 'float32' }: DecoderOptions): Graph {
  const g = new Graph('main_graph', seed);
  const weights = new DecoderWeights(g, linear, valuesOf);
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const attention = form === 'concat' ? concatAttention(g, shape, ids, mask) : inPlaceAttention(g, shape, mask);
  let x = g.node('Gather', [weights.table('model.embed_tokens.weight', [shape.vocabulary, shape.hidden]), ids], {
    name: '/model/embed_tokens/Gather',
  });
  for (let n = 0; n < shape.layers; n++) {
    const at = `model.layers.${n}`;
    const path = `/model/layers.${n}`;
    const normed = weights.norm(x, `${at}.input_layernorm`, shape.hidden, shape.epsilon);
    const project = (part: string, heads: number) =>
      weights.linear(normed, `${at}.self_attn.${part}_proj`, shape.hidden, heads * shape.headSize);
    const [q, k, v] = [project('q', shape.heads), project('k', shape.kvHeads), project('v', shape.kvHeads)];
    const context = attention(n, q, k, v);
    const output = weights.linear(context, `${at}.self_attn.o_proj`, shape.heads * shape.headSize, shape.hidden);
    x = g.node('Add', [x, output], { name: `${path}/Add` });
    const inner = weights.norm(x, `${at}.post_attention_layernorm`, shape.hidden, shape.epsilon);
    const gate = weights.linear(inner, `${at}.mlp.gate_proj`, shape.hidden, shape.ffn);
    const up = weights.linear(inner, `${at}.mlp.up_proj`, shape.hidden, shape.ffn);
    const sigmoid = g.node('Sigmoid', [gate], { name: `${path}/mlp/act_fn/Sigmoid` });
    const active = g.node('Mul', [gate, sigmoid], { name: `${path}/mlp/act_fn/Mul` });
    const gated = g.node('Mul', [active, up], { name: `${path}/mlp/Mul` });
    const down = weights.linear(gated, `${at}.mlp.down_proj`, shape.ffn, shape.hidden);
    x = g.node('Add', [x, down], { name: `${path}/Add_1` });
  }
  const last = weights.norm(x, 'model.norm', shape.hidden, shape.epsilon);
  const logits = weights.head(last, shape.hidden, shape.vocabulary);
  g.output(logits, 'float32', ['batch_size', 'sequence_length', shape.vocabulary]);
  return g;
}

type Attention = (layer: number, q: string, k: string, v: string) => string;

function pastOf(g: Graph, layer: number, part: string, { kvHeads, headSize }: DecoderShape): string {
  const name = `past_key_values.${layer}.${part}`;
  return g.input(name, 'float32', ['batch_size', kvHeads, 'past_sequence_length', headSize]);
}

function presentOf(g: Graph, name: string, { kvHeads, headSize }: DecoderShape): void {
  g.output(name, 'float32', ['batch_size', kvHeads, 'total_sequence_length', headSize]);
}

/** Rotary tables of [positions, headSize / 2]. */
function rotary({ positions, headSize, theta }: DecoderShape, of: (angle: number) => number): Float32Array {
  const half = headSize / 2;
  return Float32Array.from({ length: positions * half }, (_, n) =>
    of(Math.floor(n / half) * theta ** (-(n % half) / half)),
  );
}

function inPlaceAttention(g: Graph, shape: DecoderShape, mask: string): Attention {
  const count = g.node('ReduceSum', [mask, g.integers('one', [1])], {
    name: '/model/attn_mask/ReduceSum',
    keepdims: 0,
  });
  const less = g.node('Sub', [count, g.integers('one_less', [1])], { name: '/model/attn_mask/Sub' });
  const seqlens = g.node('Cast', [less], { name: '/model/attn_mask/Cast', to: 6 });
  const dims = g.node('Shape', [mask], { name: '/model/attn_mask/Shape' });
  const total = g.node('Gather', [dims, g.integers('axis_1', [1], [])], { name: '/model/attn_mask/Gather' });
  const totalLength = g.node('Cast', [total], { name: '/model/attn_mask/Cast_1', to: 6 });
  const table = (name: string, of: (angle: number) => number) =>
    g.constant(name, { dtype: 'float32', shape: [shape.positions, shape.headSize / 2], data: rotary(shape, of) });
  const [cos, sin] = [table('cos_cache', Math.cos), table('sin_cache', Math.sin)];
  return (layer, q, k, v) => {
    const past = ['key', 'value'].map((part) => pastOf(g, layer, part, shape));
    const out = `/model/layers.${layer}/attn/GroupQueryAttention/output_0`;
    g.node('GroupQueryAttention', [q, k, v, ...past, seqlens, totalLength, cos, sin], {
      as: [out, `present.${layer}.key`, `present.${layer}.value`],
      name: `/model/layers.${layer}/attn/GroupQueryAttention`,
      domain: 'com.microsoft',
      num_heads: shape.heads,
      kv_num_heads: shape.kvHeads,
      do_rotary: 1,
      scale: { float: 1 / Math.sqrt(shape.headSize) },
    });
    for (const part of ['key', 'value']) presentOf(g, `present.${layer}.${part}`, shape);
    return out;
  };
}

/** 0 where a query may see a key, else the lowest float32: [batch, 1, queries, keys]. */
function causalMask(g: Graph, ids: string, mask: string): string {
  const at = '/model/mask';
  const length = (of: string, name: string) =>
    g.node('Gather', [g.node('Shape', [of], { name: `${at}/${name}/Shape` }), g.integers(`${name}_axis`, [1], [])], {
      name: `${at}/${name}/Gather`,
    });
  const [total, count] = [length(mask, 'total'), length(ids, 'queries')];
  const before = g.node('Sub', [total, count], { name: `${at}/Sub` });
  const step = g.integers('range_step', [1], []);
  const keys = g.node('Range', [g.integers('range_from', [0], []), total, step], { name: `${at}/Range` });
  const queries = g.node('Range', [before, total, step], { name: `${at}/Range_1` });
  const column = g.node('Unsqueeze', [queries, g.integers('column_axis', [1])], { name: `${at}/Unsqueeze` });
  const seen = g.node('LessOrEqual', [keys, column], { name: `${at}/LessOrEqual` });
  const given = g.node('Cast', [mask], { name: `${at}/Cast`, to: 9 });
  const wide = g.node('Unsqueeze', [given, g.integers('mask_axes', [1, 2])], { name: `${at}/Unsqueeze_1` });
  const both = g.node('And', [wide, seen], { name: `${at}/And` });
  const scalar = (name: string, value: number) =>
    g.constant(name, { dtype: 'float32', shape: [], data: Float32Array.of(value) });
  return g.node('Where', [both, scalar('zero', 0), scalar('lowest', -3.4028234663852886e38)], { name: `${at}/Where` });
}

function concatAttention(g: Graph, shape: DecoderShape, ids: string, mask: string): Attention {
  const { heads, kvHeads, headSize } = shape;
  const positions = g.input('position_ids', 'int64', ['batch_size', 'sequence_length']);
  const bias = causalMask(g, ids, mask);
  const tables = (['cos', 'sin'] as const).map((name) => {
    const half = rotary(shape, Math[name]);
    const data = new Float32Array(half.length * 2);
    const width = headSize / 2;
    for (let p = 0; p < shape.positions; p++) {
      for (const side of [0, width]) data.set(half.subarray(p * width, (p + 1) * width), p * headSize + side);
    }
    const table = g.constant(`${name}_table`, { dtype: 'float32', shape: [shape.positions, headSize], data });
    const rows = g.node('Gather', [table, positions], { name: `/model/rotary_emb/${name}/Gather` });
    return g.node('Unsqueeze', [rows, g.integers(`${name}_axis`, [1])], {
      name: `/model/rotary_emb/${name}/Unsqueeze`,
    });
  });
  const ends = g.integers('slice_end', [2 ** 31 - 1]);
  const [none, half, axis] = [
    g.integers('slice_0', [0]),
    g.integers('slice_half', [headSize / 2]),
    g.integers('slice_axis', [3]),
  ];
  const shapes = {
    [heads]: g.integers('to_heads', [0, 0, heads, headSize]),
    [kvHeads]: g.integers('to_kv_heads', [0, 0, kvHeads, headSize]),
  };
  const repeats = g.integers('repeats', [1, 1, heads / kvHeads, 1, 1]);
  const repeated = g.integers('repeated', [0, heads, -1, headSize]);
  const joined = g.integers('joined', [0, 0, heads * headSize]);
  const repeatAxis = g.integers('repeat_axis', [2]);
  const scale = g.constant('scale', { dtype: 'float32', shape: [], data: Float32Array.of(1 / Math.sqrt(headSize)) });
  return (layer, q, k, v) => {
    const path = `/model/layers.${layer}/self_attn`;
    const split = (x: string, count: number, part: string) => {
      const parts = g.node('Reshape', [x, shapes[count]!], { name: `${path}/${part}/Reshape` });
      return g.node('Transpose', [parts], { name: `${path}/${part}/Transpose`, perm: [0, 2, 1, 3] });
    };
    const rotated = (x: string, part: string) => {
      const upper = g.node('Slice', [x, half, ends, axis], { name: `${path}/${part}/Slice` });
      const lower = g.node('Slice', [x, none, half, axis], { name: `${path}/${part}/Slice_1` });
      const negated = g.node('Neg', [upper], { name: `${path}/${part}/Neg` });
      const turned = g.node('Concat', [negated, lower], { name: `${path}/${part}/Concat`, axis: -1 });
      const first = g.node('Mul', [x, tables[0]!], { name: `${path}/${part}/Mul` });
      const second = g.node('Mul', [turned, tables[1]!], { name: `${path}/${part}/Mul_1` });
      return g.node('Add', [first, second], { name: `${path}/${part}/Add` });
    };
    const grown = (x: string, part: string) => {
      const past = pastOf(g, layer, part, shape);
      const all = g.node('Concat', [past, x], {
        name: `${path}/${part}/Concat_1`,
        as: `present.${layer}.${part}`,
        axis: 2,
      });
      presentOf(g, all, shape);
      const wide = g.node('Unsqueeze', [all, repeatAxis], { name: `${path}/${part}/Unsqueeze` });
      const many = g.node('Expand', [wide, repeats], { name: `${path}/${part}/Expand` });
      return g.node('Reshape', [many, repeated], { name: `${path}/${part}/Reshape_1` });
    };
    const query = rotated(split(q, heads, 'query'), 'query');
    const keys = grown(rotated(split(k, kvHeads, 'key'), 'key'), 'key');
    const values = grown(split(v, kvHeads, 'value'), 'value');
    const across = g.node('Transpose', [keys], { name: `${path}/Transpose`, perm: [0, 1, 3, 2] });
    const products = g.node('MatMul', [query, across], { name: `${path}/MatMul` });
    const scores = g.node('Mul', [products, scale], { name: `${path}/Mul` });
    const masked = g.node('Add', [scores, bias], { name: `${path}/Add` });
    const shares = g.node('Softmax', [masked], { name: `${path}/Softmax`, axis: -1 });
    const context = g.node('MatMul', [shares, values], { name: `${path}/MatMul_1` });
    const back = g.node('Transpose', [context], { name: `${path}/Transpose_1`, perm: [0, 2, 1, 3] });
    return g.node('Reshape', [back, joined], { name: `${path}/Reshape` });
  };
}
