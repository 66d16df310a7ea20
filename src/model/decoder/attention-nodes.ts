/** The nodes of an attention over a cache in place, as NodeProtos. */
import { ATTRIBUTE, elementId, INTS, NODE, TENSOR } from '../onnx/schema.js';
import { WireWriter } from '../onnx/wire-writer.js';
import type { StatePair } from './facts.js';

/** The ops of one layer's attention. */
export interface Attention {
  readonly key: StatePair;
  readonly value: StatePair;
  /** [rows, heads, new tokens, head size], before `scalings`. */
  readonly query: string;
  /** [rows, kv heads, new tokens, head size]. */
  readonly newKey: string;
  readonly newValue: string;
  /** Ops that scale the scores by a constant. */
  readonly scalings: readonly { readonly type: string; readonly constant: string }[];
  readonly heads: number;
  /** [rows, new tokens, heads x head size]. */
  readonly output: string;
  /** The first op of it, and the one that makes `output`. */
  readonly from: number;
  readonly to: number;
}

/** AttributeProto's further fields and types. */
const FLOAT = { field: 2, type: 1 };
const INT_TYPE = 2;
const TENSOR_TYPE = 4;

type Attribute = number | { readonly float: number } | readonly number[] | { readonly integers: readonly number[] };

/** Names of what `lengthNodes` make: of each row the number of tokens less one, and the most tokens of any row, as int32. */
const LENGTHS = 'tandem/seqlens_k';
const TOTAL = 'tandem/total_sequence_length';

/** Reads the mask, [rows, tokens]. */
export function lengthNodes(mask: string): Uint8Array[] {
  return [
    constant('tandem/axis', [1]),
    constant('tandem/one', [1]),
    node('ReduceSum', [mask, 'tandem/axis'], ['tandem/count'], { keepdims: 0 }),
    node('Sub', ['tandem/count', 'tandem/one'], ['tandem/last']),
    node('Cast', ['tandem/last'], [LENGTHS], { to: elementId('int32') }),
    node('Shape', [mask], ['tandem/shape'], { start: 1, end: 2 }),
    node('Cast', ['tandem/shape'], [TOTAL], { to: elementId('int32') }),
  ];
}

/** Makes the output and both presents of an attention. */
export function attentionNodes(attention: Attention): Uint8Array[] {
  const { key, value, query, newKey, newValue, scalings, heads, output } = attention;
  const [kvHeads, , headSize] = key.shape as readonly number[];
  const at = `${output}/tandem`;
  const nodes: Uint8Array[] = [];
  let scaled = query;
  for (const [n, { type, constant: by }] of scalings.entries()) {
    nodes.push(node(type, [scaled, by], [`${at}/scaled_${n}`]));
    scaled = `${at}/scaled_${n}`;
  }
  const flat = (name: string, part: string, count: number) => {
    const [turned, shape, made] = [`${at}/${part}_turned`, `${at}/${part}_shape`, `${at}/${part}`];
    nodes.push(node('Transpose', [name], [turned], { perm: [0, 2, 1, 3] }));
    nodes.push(constant(shape, [0, 0, count * headSize!]));
    nodes.push(node('Reshape', [turned, shape], [made]));
    return made;
  };
  const inputs = [flat(scaled, 'query', heads), flat(newKey, 'key', kvHeads!), flat(newValue, 'value', kvHeads!)];
  nodes.push(
    node(
      'GroupQueryAttention',
      [...inputs, key.past, value.past, LENGTHS, TOTAL],
      [output, key.present, value.present],
      // The scores are scaled already.
      { num_heads: heads, kv_num_heads: kvHeads!, scale: { float: 1 } },
      'com.microsoft',
    ),
  );
  return nodes;
}

function constant(name: string, values: readonly number[]): Uint8Array {
  return node('Constant', [], [name], { value: { integers: values } });
}

function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = '',
): Uint8Array {
  const message = new WireWriter();
  for (const input of inputs) message.text(NODE.input, input);
  for (const output of outputs) message.text(NODE.output, output);
  message.text(NODE.name, `tandem/${type}/${outputs[0]}`).text(NODE.opType, type);
  if (domain !== '') message.text(NODE.domain, domain);
  for (const [name, value] of Object.entries(attributes)) {
    message.message(NODE.attribute, (attribute) => writeAttribute(attribute, name, value));
  }
  return message.bytes();
}

function writeAttribute(attribute: WireWriter, name: string, value: Attribute): void {
  attribute.text(ATTRIBUTE.name, name);
  if (typeof value === 'number') attribute.integer(ATTRIBUTE.i, value).integer(ATTRIBUTE.type, INT_TYPE);
  else if ('float' in value) attribute.float(FLOAT.field, value.float).integer(ATTRIBUTE.type, FLOAT.type);
  else if ('integers' in value) {
    attribute.message(ATTRIBUTE.tensor, (tensor) => {
      tensor.integer(TENSOR.dims, value.integers.length).integer(TENSOR.dataType, elementId('int64'));
      tensor.block(TENSOR.rawData, new Uint8Array(BigInt64Array.from(value.integers, BigInt).buffer));
    });
    attribute.integer(ATTRIBUTE.type, TENSOR_TYPE);
  } else {
    for (const whole of value) attribute.integer(ATTRIBUTE.ints, whole);
    attribute.integer(ATTRIBUTE.type, INTS);
  }
}
