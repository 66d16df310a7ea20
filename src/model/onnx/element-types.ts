/** What each value holds, followed from the inputs through the ops: enough to know which values no slot can carry. */
import type { OnnxNode } from './node.js';
import { elementOf } from './schema.js';
import type { ValueType } from './value-type.js';

/** The element type of a tensor (`float32`, `string`, `int4` …), the kind of another value (`sequence of float32`, `map` …), or '' where unknown. */
export type Holds = string;

/** Ops whose outputs are of one type whatever goes in; an output past the list is as the last one. */
const FIXED: Record<string, readonly Holds[]> = {
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
  // What an optional or a map holds is not followed.
  ...of('unknown', 'OptionalGetElement DictVectorizer CastMap'),
  StringSplit: ['string', 'int64'],
  DynamicQuantizeLinear: ['uint8', 'float32', 'uint8'],
};

/** Ops whose output is of the type of an input other than the first. */
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

function of(type: Holds, ops: string): Record<string, readonly Holds[]> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, [type]]));
}

/** Adds what the outputs of `node` hold to `known`, from what its inputs hold; `declared` types are taken at their word. */
export function holdOutputs(
  node: OnnxNode,
  known: Map<string, Holds>,
  declared: (name: string) => ValueType | null | undefined,
): void {
  for (const [n, name] of node.outputs.entries()) {
    if (name === '') continue;
    const type = declared(name);
    known.set(name, type ? holdsOf(type) : outputOf(node, n, (input) => known.get(node.inputs[input] ?? '') ?? ''));
  }
}

export function holdsOf(type: ValueType): Holds {
  return type.kind === 'tensor' ? type.element : type.kind;
}

function outputOf(node: OnnxNode, n: number, input: (index: number) => Holds): Holds {
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
function bodyOutput({ type, bodies }: OnnxNode, n: number, input: (index: number) => Holds): Holds {
  const returned = bodies[0]?.[type === 'Loop' ? n + 1 : n];
  if (returned) return holdsOf(returned);
  return type === 'Loop' ? input(n + 2) : type === 'If' ? '' : input(n);
}

function labels(attributes: ReadonlySet<string>, from: Holds): Holds {
  if (attributes.has('values_floats')) return 'float32';
  if (attributes.has('values_int64s')) return 'int64';
  if (attributes.has('values_strings')) return 'string';
  return from === 'string' ? 'int64' : 'string';
}
