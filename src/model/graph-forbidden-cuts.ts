/** Forbidden cuts of a GraphModel: across tensors that are not plain values, and inside loops and conditions. */

import { cutsAcross } from './forbidden-cuts.js';
import type { Op } from './graph.js';
import { type GraphNode, typeName } from './graph-def.js';

/** Types whose values a slot cannot hold. */
const OPAQUE_TYPES = new Set(['DT_STRING', 'DT_RESOURCE', 'DT_VARIANT', 'DT_COMPLEX64', 'DT_COMPLEX128']);

/** Ops with results of such types, whatever their attributes: handles, lists and strings. */
const MAKES_OPAQUE =
  /^(HashTable(V2)?|EmptyTensorList|TensorList(Reserve|FromTensor|SetItem|PushBack|Scatter|ScatterV2|Split|Resize|PopBack)|TensorArray(V3|WriteV3|ScatterV3|SplitV3|CloseV3)|FFT|IFFT|RFFT|Complex|StaticRegexReplace|StringNGrams|StringSplit)$/;

/** Ops whose results are plain values, whatever they read. */
const MAKES_PLAIN =
  /^(IRFFT|Real|Imag|ComplexAbs|StringToHashBucketFast|TensorList(Stack|Length|Gather|GetItem|Concat|ConcatV2)|TensorArray(SizeV3)|LookupTableSize(V2)?)$/;

/** Attributes with the type of the results, if an op has one; else all its types are checked. */
const RESULT_TYPES = ['Tout', 'DstT', 'out_type', 'output_type', 'dtype', 'element_dtype', 'T'];

/** Whether a slot cannot hold the results of `node`, by their type. */
function makesOpaque({ op, attr }: GraphNode): boolean {
  if (MAKES_OPAQUE.test(op)) return true;
  if (MAKES_PLAIN.test(op)) return false;
  const named = RESULT_TYPES.map((name) => attr.get(name)).find((value) => value !== undefined);
  const types = (named ? [named] : [...attr.values()]).flatMap(({ type, list }) => [
    ...(type === undefined ? [] : [type]),
    ...(list?.type ?? []),
  ]);
  return types.some((type) => OPAQUE_TYPES.has(typeName(type)));
}

/**
 * How many loops and conditions contain each node: Enter and Switch open one, Exit and Merge close it. Exceptions are the Merge at a loop's head
 * (it reads Enter) and the Switch of a LoopCond: they stay in the loop. Nodes are in topological order.
 */
function frameDepths(order: readonly GraphNode[]): Map<string, number> {
  const depths = new Map<string, number>();
  const ops = new Map(order.map(({ name, op }) => [name, op]));
  for (const { name, op, edges } of order) {
    const reads = edges.map(({ node }) => ops.get(node));
    const depth = Math.max(0, ...edges.map(({ node }) => depths.get(node) ?? 0));
    const opens = op === 'Enter' || (op === 'Switch' && !reads.includes('LoopCond'));
    const closes = op === 'Exit' || (op === 'Merge' && !reads.includes('Enter') && !reads.includes('NextIteration'));
    depths.set(name, Math.max(0, depth + (opens ? 1 : 0) - (closes ? 1 : 0)));
  }
  return depths;
}

/** Ops that return their input unchanged, handles too. */
const HANDS_ON = /^(Identity|Enter|Exit|Switch|Merge|NextIteration)$/;

/** Tensors that a slot cannot hold: not plain values, or made only in one branch or one iteration of a loop. `order` is 1:1 with `ops`. */
function boundTensors(ops: readonly Op[], order: readonly GraphNode[]): Set<string> {
  const depths = frameDepths(order);
  const opaque = new Set<string>();
  for (const node of order) {
    const isHandedOn = HANDS_ON.test(node.op) && node.edges.some((edge) => !edge.isControl && opaque.has(edge.node));
    if (isHandedOn || makesOpaque(node)) opaque.add(node.name);
  }
  return new Set(ops.filter(({ name }) => opaque.has(name) || depths.get(name)! > 0).flatMap((op) => op.outputs));
}

/** Positions k across which a tensor lives that a slot cannot hold. `order` is 1:1 with `ops`; `outputs` are the model's. */
export function graphForbiddenCuts(
  ops: readonly Op[],
  outputs: readonly string[],
  order: readonly GraphNode[],
): Set<number> {
  const bound = boundTensors(ops, order);
  return cutsAcross(ops, (name) => bound.has(name), outputs);
}
