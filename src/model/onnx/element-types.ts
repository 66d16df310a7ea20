/** Infers the element type of each value from the inputs through the ops: enough to know which values no slot can carry. */
import type { ModelProto } from './model-proto.js';
import type { OnnxNode } from './node.js';
import type { Ordered } from './order.js';
import { elementOf } from './schema.js';
import type { ValueType } from './value-type.js';

/** The element type of a tensor (`float32`, `string`, `int4` …), the kind of another value (`sequence of float32`, `map` …), or '' if unknown. */
export type ElementType = string;

/** Ops whose outputs have fixed types; further outputs have the last type of the list. */
const FIXED: Record<string, readonly ElementType[]> = {
  ...of(
    'bool',
    'Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Xor IsNaN IsInf OptionalHasElement RegexFullMatch',
  ),
  ...of('int64', 'Shape Size NonZero ArgMax ArgMin SequenceLength NonMaxSuppression'),
  ...of('int32', 'ConvInteger MatMulInteger'),
  ...of('uint8', 'ImageDecoder'),
  ...of('string', 'StringNormalizer StringConcat'),
  ...of('float32', 'TfIdfVectorizer Scaler Normalizer OneHotEncoder FeatureVectorizer LinearRegressor SVMRegressor'),
  ...of('float32', 'TreeEnsembleRegressor MatMulIntegerToFloat DynamicQuantizeMatMul'),
  ...of('sequence', 'SequenceEmpty SequenceMap ZipMap'),
  ...of('optional', 'Optional'),
  // The contents of an optional or a map are not inferred.
  ...of('unknown', 'OptionalGetElement DictVectorizer CastMap'),
  StringSplit: ['string', 'int64'],
  DynamicQuantizeLinear: ['uint8', 'float32', 'uint8'],
};

/** Ops whose output has the type of an input other than the first. */
const AS_INPUT: Record<string, number> = {
  Where: 1,
  CastLike: 1,
  OneHot: 2,
  DequantizeLinear: 1,
  QLinearConv: 7,
  QLinearMatMul: 7,
};

const INTO_SEQUENCE = new Set(['SequenceConstruct', 'SplitToSequence']);
const OUT_OF_SEQUENCE = new Set(['SequenceAt', 'ConcatFromSequence']);
const SEQUENCE_OF = 'sequence of ';

/** Outputs after the first that are indices or counts. */
const THEN_INT64 = new Set(['TopK', 'MaxPool', 'Unique']);

function of(type: ElementType, ops: string): Record<string, readonly ElementType[]> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, [type]]));
}

/** Adds the types of the outputs of `node` to `known`, from those of its inputs; `declared` types are used as they are. */
function addOutputs(
  node: OnnxNode,
  known: Map<string, ElementType>,
  declared: (name: string) => ValueType | null | undefined,
): void {
  for (const [n, name] of node.outputs.entries()) {
    if (name === '') continue;
    const type = declared(name);
    known.set(
      name,
      type ? elementTypeOf(type) : outputOf(node, n, (input) => known.get(node.inputs[input] ?? '') ?? ''),
    );
  }
}

/** The type of every value of the graph, by name. */
export function elementTypes(proto: ModelProto, { ops, derived }: Ordered): Map<string, ElementType> {
  const known = new Map<string, ElementType>();
  const declared = new Map([...proto.values].map(([name, { type }]) => [name, type]));
  for (const { name, type } of proto.outputs) declared.set(name, type);
  for (const { name, type } of proto.inputs) if (type) known.set(name, elementTypeOf(type));
  for (const { name, element } of proto.tensors.values()) known.set(name, elementOf(element)?.name ?? '');
  for (const node of [...new Set(derived.values()), ...ops]) addOutputs(node, known, (name) => declared.get(name));
  return known;
}

export function elementTypeOf(type: ValueType): ElementType {
  return type.kind === 'tensor' ? type.element : type.kind;
}

function outputOf(node: OnnxNode, n: number, input: (index: number) => ElementType): ElementType {
  const { type, integers, attributes } = node;
  if (node.bodies.length > 0) return bodyOutput(node, n, input);
  const fixed = Object.hasOwn(FIXED, type) ? FIXED[type] : undefined;
  if (fixed) return fixed[Math.min(n, fixed.length - 1)]!;
  if (n > 0 && THEN_INT64.has(type)) return 'int64';
  if (INTO_SEQUENCE.has(type)) return SEQUENCE_OF + input(0);
  if (OUT_OF_SEQUENCE.has(type))
    return input(0).startsWith(SEQUENCE_OF) ? input(0).slice(SEQUENCE_OF.length) : 'unknown';
  if (type === 'Cast') return elementOf(integers.get('to') ?? 0)?.name ?? '';
  if (type === 'QuantizeLinear') return elementOf(integers.get('output_dtype') ?? 0)?.name || input(2) || 'uint8';
  if (type === 'LabelEncoder' || type === 'CategoryMapper') return labels(attributes, input(0));
  if (type.endsWith('Classifier'))
    return n > 0 ? 'float32' : attributes.has('classlabels_strings') ? 'string' : 'int64';
  return input(Object.hasOwn(AS_INPUT, type) ? AS_INPUT[type]! : 0);
}

/** Control flow returns what its bodies return; a Loop's body returns its condition first, its node does not. */
function bodyOutput({ type, bodies }: OnnxNode, n: number, input: (index: number) => ElementType): ElementType {
  const returned = bodies[0]?.[type === 'Loop' ? n + 1 : n];
  if (returned) return elementTypeOf(returned);
  return type === 'Loop' ? input(n + 2) : type === 'If' ? '' : input(n);
}

function labels(attributes: ReadonlySet<string>, from: ElementType): ElementType {
  if (attributes.has('values_floats')) return 'float32';
  if (attributes.has('values_int64s')) return 'int64';
  if (attributes.has('values_strings')) return 'string';
  return from === 'string' ? 'int64' : 'string';
}
