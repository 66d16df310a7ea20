/**
 * Attention over a cache that grows by Concat, as exporters of PyTorch write it, replaced by GroupQueryAttention over a cache in place.
 * Only what is certainly the same is replaced: one causal mask and the padding mask, scores scaled by constants, one Softmax.
 */

import { elementCount } from '../../tensor.js';
import type { OnnxNode } from '../onnx/node.js';
import { readsOf } from '../onnx/order.js';
import type { OnnxModel } from '../onnx.js';
import { type Attention, attentionNodes, lengthNodes } from './attention-nodes.js';
import type { StatePair } from './facts.js';
import { isMaskOf } from './mask-kind.js';

export interface AttentionRewriting {
  /** The past states that are then kept in place. */
  readonly pasts: ReadonlySet<string>;
  /** Cuts k with from < k <= to would divide an attention. */
  readonly closed: readonly { readonly from: number; readonly to: number }[];
  /** Nodes at the head of each slice, and by op those in its place; none where the op is not needed any more. */
  readonly ownNodes: readonly Uint8Array[];
  readonly replaced: ReadonlyMap<number, readonly Uint8Array[]>;
}

/** `null` for a model that has an attention which is not known. */
export function rewriteAttention(
  model: OnnxModel,
  pairs: readonly StatePair[],
  mask: string,
): AttentionRewriting | null {
  const growing = pairs.filter(({ kind }) => kind === 'growing');
  if (growing.length === 0) return null;
  const search = new Search(model, pairs, mask);
  const found: Attention[] = [];
  for (const key of growing) {
    const attention = search.attentionOf(key);
    if (attention === 'value') continue;
    if (!attention) return null;
    found.push(attention);
  }
  if (found.length * 2 !== growing.length) return null;
  const replaced = new Map<number, readonly Uint8Array[]>(found.map((each) => [each.to, attentionNodes(each)]));
  const live = liveOps(model, found, mask);
  const states = new Set(found.flatMap(({ key, value }) => [key.past, value.past, key.present, value.present]));
  for (const [k, node] of model.nodes.entries()) {
    if (replaced.has(k)) continue;
    if (!live.has(k)) replaced.set(k, []);
    else if (readsOf(node).some((name) => states.has(name))) return null;
  }
  const pasts = new Set(found.flatMap(({ key, value }) => [key.past, value.past]));
  return { pasts, closed: found.map(({ from, to }) => ({ from, to })), ownNodes: lengthNodes(mask), replaced };
}

/** Ops that the outputs still need. */
function liveOps({ nodes, graph }: OnnxModel, found: readonly Attention[], mask: string): Set<number> {
  const makers = new Map(nodes.flatMap((node, k) => node.outputs.map((name) => [name, k] as const)));
  const inPlace = new Map(found.map((each) => [each.to, each]));
  for (const { key, value, to } of found) for (const { present } of [key, value]) makers.set(present, to);
  const live = new Set<number>();
  // The list grows during the iteration.
  const names = [...graph.outputs];
  for (const name of names) {
    const k = makers.get(name);
    if (k === undefined || live.has(k)) continue;
    live.add(k);
    const attention = inPlace.get(k);
    const { query, newKey, newValue } = attention ?? {};
    names.push(...(attention ? [query!, newKey!, newValue!, mask] : readsOf(nodes[k]!)));
  }
  return live;
}

/** Ops that keep or repeat the values of keys and values. */
const CARRIES = new Set(['Unsqueeze', 'Expand', 'Reshape', 'Transpose', 'Identity', 'Mul', 'Div']);
/** Ops between scores and shares. */
const SCORES = new Set(['Mul', 'Div', 'Add', 'Where', 'Softmax', 'IsNaN', 'Identity']);
/** Ops that may stand between the output and the weights that it is multiplied with. */
const BEFORE_WEIGHTS = new Set([
  'Abs',
  'ReduceMax',
  'Max',
  'Div',
  'Round',
  'Cast',
  'Identity',
  'DynamicQuantizeLinear',
]);

class Search {
  readonly #model: OnnxModel;
  readonly #pairs: readonly StatePair[];
  readonly #mask: string;
  readonly #index: ReadonlyMap<OnnxNode, number>;
  readonly #readers = new Map<string, OnnxNode[]>();

  constructor(model: OnnxModel, pairs: readonly StatePair[], mask: string) {
    this.#model = model;
    this.#pairs = pairs;
    this.#mask = mask;
    this.#index = new Map(model.nodes.map((node, k) => [node, k]));
    for (const node of model.nodes) {
      for (const name of readsOf(node)) this.#readers.set(name, [...(this.#readers.get(name) ?? []), node]);
    }
  }

  /** Of the pair of keys; `value` for a pair of values, `null` if it is not known. */
  attentionOf(pair: StatePair): Attention | 'value' | null {
    const grown = this.#grownBy(pair);
    if (!grown) return null;
    const products = this.#reach(grown.all, CARRIES, 'MatMul');
    const [product] = products.found;
    if (products.found.length !== 1 || !product) return null;
    const shares = this.#reach(product.outputs[0]!, SCORES, 'MatMul');
    const isOfValues = !shares.passed.some(({ type }) => type === 'Softmax');
    if (isOfValues) return 'value';
    const [context] = shares.found;
    if (shares.found.length !== 1 || !context || shares.passed.filter(({ type }) => type === 'Softmax').length !== 1)
      return null;
    const value = this.#pairs.find((other) => {
      const all = other === pair ? undefined : this.#grownBy(other)?.all;
      return all !== undefined && this.#reach(all, CARRIES, 'MatMul').found.includes(context);
    });
    const scalings = this.#scalings([...products.passed, ...shares.passed]);
    const output = this.#outputOf(context);
    if (!value || !scalings || !output || !this.#isMasked(shares.passed)) return null;
    const [kvHeads, , headSize] = pair.shape;
    const width = this.#widthBehind(output);
    const heads = width / headSize!;
    if (!Number.isInteger(heads) || heads % kvHeads! !== 0 || value.shape.join() !== pair.shape.join()) return null;
    const values = this.#grownBy(value)!;
    const from = Math.min(...[grown.concat, values.concat, product].map((node) => this.#index.get(node)!));
    const to = this.#index.get(this.#makerOf(output)!)!;
    const query = product.inputs[0]!;
    return { key: pair, value, query, newKey: grown.added, newValue: values.added, scalings, heads, output, from, to };
  }

  /** past, then Concat on the axis of the tokens, then present. */
  #grownBy({ past, present, shape, kind }: StatePair): { concat: OnnxNode; all: string; added: string } | null {
    const readers = (this.#readers.get(past) ?? []).filter(({ type }) => type !== 'Shape');
    const [concat] = readers;
    if (kind !== 'growing' || shape.length !== 3 || shape[1] !== null || shape[2] === null) return null;
    if (readers.length !== 1 || concat?.type !== 'Concat' || concat.inputs.length !== 2 || concat.inputs[0] !== past)
      return null;
    const all = concat.outputs[0]!;
    const isPresent = all === present || this.#makerOf(present)?.inputs[0] === all;
    const axis = concat.integers.get('axis');
    return isPresent && (axis === 2 || axis === -2) ? { concat, all, added: concat.inputs[1]! } : null;
  }

  /** Follows `name` through ops of these types to those of type `wanted`. Others than these end the search, but for Shape. */
  #reach(name: string, types: ReadonlySet<string>, wanted: string): { found: OnnxNode[]; passed: OnnxNode[] } {
    const found = new Set<OnnxNode>();
    const passed = new Set<OnnxNode>();
    const names = [name];
    for (const each of names) {
      for (const reader of this.#readers.get(each) ?? []) {
        if (reader.type === wanted) found.add(reader);
        else if (types.has(reader.type) && !passed.has(reader)) {
          passed.add(reader);
          names.push(reader.outputs[0]!);
        } else if (!types.has(reader.type) && reader.type !== 'Shape') return { found: [], passed: [] };
      }
    }
    return { found: [...found], passed: [...passed] };
  }

  /** Multiplications and divisions, all by constants of one number; `null` if another is among them. */
  #scalings(nodes: readonly OnnxNode[]): { type: string; constant: string }[] | null {
    const all = nodes.filter(({ type }) => type === 'Mul' || type === 'Div');
    const found = all.flatMap(({ type, inputs }) => {
      const constant = (type === 'Div' ? inputs.slice(1) : inputs).find((name) => this.#isOneNumber(name));
      return constant === undefined ? [] : [{ type, constant }];
    });
    return found.length === all.length ? found : null;
  }

  #isOneNumber(name: string): boolean {
    const { tensors, derived } = this.#model;
    const tensor = tensors.get(name);
    if (tensor) return elementCount(tensor.dims) === 1;
    const node = derived.get(name);
    return (
      node !== undefined &&
      ['Sqrt', 'Cast', 'Div', 'Mul', 'Identity'].includes(node.type) &&
      node.inputs.every((input) => this.#isOneNumber(input))
    );
  }

  /** Whether one Add or Where puts the mask on the scores. */
  #isMasked(nodes: readonly OnnxNode[]): boolean {
    const adds = nodes.filter(({ type }) => type === 'Add');
    const made = new Set(nodes.flatMap(({ outputs }) => outputs));
    const biases = adds.flatMap(({ inputs }) => inputs.filter((name) => !made.has(name)));
    const masks = biases.filter((name) => isMaskOf(this.#model, name, this.#mask));
    const wheres = nodes.filter(({ type }) => type === 'Where');
    const guards = wheres.every(({ inputs }) => this.#makerOf(inputs[0]!)?.type === 'IsNaN');
    // The scores themselves are the other input of the Add when no scaling is before it.
    return adds.length === 1 && masks.length === 1 && guards;
  }

  /** Back to [rows, tokens, width]. */
  #outputOf(context: OnnxNode): string | null {
    const only = (name: string, type: string) => {
      const readers = this.#readers.get(name) ?? [];
      return readers.length === 1 && readers[0]!.type === type ? readers[0]!.outputs[0]! : null;
    };
    const turned = only(context.outputs[0]!, 'Transpose');
    return turned && only(turned, 'Reshape');
  }

  /** The rows of the weights that the output is multiplied with; NaN if there are none. */
  #widthBehind(output: string): number {
    const names = [output];
    for (const name of names) {
      for (const reader of this.#readers.get(name) ?? []) {
        const weights = this.#model.tensors.get(reader.inputs[1] ?? '');
        if (reader.type === 'MatMulNBits') return reader.integers.get('K') ?? Number.NaN;
        if (/^(MatMul|MatMulInteger|Gemm)$/.test(reader.type) && weights?.dims.length === 2) return weights.dims[0]!;
        if (BEFORE_WEIGHTS.has(reader.type)) names.push(...reader.outputs);
      }
    }
    return Number.NaN;
  }

  #makerOf(name: string): OnnxNode | undefined {
    return this.#model.nodes.find(({ outputs }) => outputs.includes(name));
  }
}
