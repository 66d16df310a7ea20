/** The functions of a model: copied into slices unchanged, but checked first, because engines trust them. */
import type { ExternalData } from './external-data.js';
import type { ByteRange, FileBytes } from './file-bytes.js';
import { type OnnxNode, readNode } from './node.js';
import { FUNCTION } from './schema.js';
import { isOutside } from './stored-tensor.js';
import { fieldsOf, invalid, textOf } from './wire.js';

export interface OnnxFunction {
  readonly key: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** All of its nodes, including those in bodies. */
  readonly nodes: readonly OnnxNode[];
}

const MAX_DEPTH = 100;
/** As many as a graph may have without functions. */
const MAX_NODES = 1_000_000;

/** The function that a node calls, if any. */
export function functionKey({ domain, type, overload }: { domain: string; type: string; overload: string }): string {
  return `${domain}:${type}:${overload}`;
}

/** Reads a FunctionProto. Throws TANDEM_MODEL_INVALID, TANDEM_WEIGHTS_*. */
export function readFunction(file: FileBytes, message: ByteRange, external: ExternalData): OnnxFunction {
  const text = { domain: '', type: '', overload: '' };
  const inputs: string[] = [];
  const outputs: string[] = [];
  const nodes: OnnxNode[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === FUNCTION.name) text.type = textOf(file, field);
    else if (field.number === FUNCTION.domain) text.domain = textOf(file, field);
    else if (field.number === FUNCTION.overload) text.overload = textOf(file, field);
    else if (field.number === FUNCTION.input) inputs.push(textOf(file, field));
    else if (field.number === FUNCTION.output) outputs.push(textOf(file, field));
    else if (field.number === FUNCTION.node) {
      const node = readNode(file, field, external);
      if (node.inside.some((tensor) => isOutside(tensor, external)))
        throw invalid(file, 'a function has external data');
      for (const inner of [node, ...node.inner]) nodes.push(inner);
    }
  }
  return { key: functionKey(text), inputs, outputs, nodes };
}

/**
 * Throws TANDEM_MODEL_INVALID for a call with more values than the function has, for functions that call each other in a cycle,
 * and for functions that expand to too many nodes.
 */
export function checkFunctions(
  file: FileBytes,
  functions: ReadonlyMap<string, OnnxFunction>,
  nodes: readonly OnnxNode[],
): void {
  const called = (callers: readonly OnnxNode[]) =>
    callers.flatMap((node) => {
      const own = functions.get(functionKey(node));
      if (own && (node.inputs.length > own.inputs.length || node.outputs.length > own.outputs.length)) {
        throw invalid(file, `"${node.name}" calls ${own.key} with more values than it has`);
      }
      return own ? [own] : [];
    });
  const sizes = new Map<OnnxFunction, number>();
  /** The number of nodes of a call after an engine has inlined the body; NaN during the computation. */
  const sizeOf = (own: OnnxFunction, depth: number): number => {
    const known = sizes.get(own);
    if (Number.isNaN(known)) throw invalid(file, `function ${own.key} calls itself`);
    if (depth > MAX_DEPTH) throw invalid(file, `functions call functions more than ${MAX_DEPTH} deep`);
    if (known !== undefined) return known;
    sizes.set(own, Number.NaN);
    const size = called(own.nodes).reduce((sum, other) => sum + sizeOf(other, depth + 1), own.nodes.length);
    if (size > MAX_NODES) throw invalid(file, `function ${own.key} unfolds into more than ${MAX_NODES} nodes`);
    sizes.set(own, size);
    return size;
  };
  for (const own of functions.values()) sizeOf(own, 0);
  const all = called(nodes.flatMap((node) => [node, ...node.inner]));
  if (all.reduce((sum, own) => sum + sizes.get(own)!, 0) > MAX_NODES) {
    throw invalid(file, `the functions unfold into more than ${MAX_NODES} nodes`);
  }
}
