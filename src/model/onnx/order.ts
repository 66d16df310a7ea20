/** The order of the ops: the file's own if it is topological, else the nearest that is; and the nodes that are not ops. */
import { TandemError } from '../../errors.js';
import { functionKey, type OnnxFunction } from './functions.js';
import type { OnnxNode } from './node.js';

export interface Ordered {
  /** The ops, each after those that it reads. */
  readonly ops: readonly OnnxNode[];
  /**
   * Nodes that read weights only, by each name they make: a Constant, the DequantizeLinear of a quantised weight.
   * They are copied to every slice that reads them, like the weights they are made of, so that no cut has to carry their results.
   */
  readonly derived: ReadonlyMap<string, OnnxNode>;
  /** The weights that each derived value is made of. */
  readonly behind: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Ops whose results may differ each time: two slices must not both compute them. */
const RANDOM = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
]);
/** A node that depends on more weights than this is an ordinary op. */
const MAX_BEHIND = 256;
const DOMAINS = new Set(['', 'com.microsoft']);

/**
 * `weights` and `inputs` are the names that no node makes, `returned` the model's outputs, `functions` its own functions.
 * Throws TANDEM_MODEL_INVALID for a cycle, a name made twice or one that no node makes.
 */
export function orderNodes(
  nodes: readonly OnnxNode[],
  names: {
    weights: ReadonlySet<string>;
    inputs: ReadonlySet<string>;
    returned: ReadonlySet<string>;
    functions: ReadonlyMap<string, OnnxFunction>;
  },
): Ordered {
  const derived = new Map<string, OnnxNode>();
  const behind = new Map<string, ReadonlySet<string>>();
  const ops: OnnxNode[] = [];
  for (const node of sorted(nodes, new Set([...names.weights, ...names.inputs]))) {
    const reads = readsOf(node);
    const fixed =
      DOMAINS.has(node.domain) &&
      node.bodies.length === 0 &&
      !RANDOM.has(node.type) &&
      !names.functions.has(functionKey(node)) &&
      !node.outputs.some((name) => names.returned.has(name)) &&
      reads.every((name) => names.weights.has(name) || derived.has(name));
    const weights = fixed ? new Set(reads.flatMap((name) => [...(behind.get(name) ?? [name])])) : null;
    if (!weights || weights.size > MAX_BEHIND) {
      ops.push(node);
      continue;
    }
    for (const name of node.outputs) {
      if (name === '') continue;
      derived.set(name, node);
      behind.set(name, weights);
    }
  }
  return { ops, derived, behind };
}

/** All names that a node reads, also in its bodies. */
export function readsOf(node: OnnxNode): string[] {
  return [...new Set([...node.inputs, ...node.captured])].filter((name) => name !== '');
}

function sorted(nodes: readonly OnnxNode[], given: ReadonlySet<string>): OnnxNode[] {
  const makers = new Map<string, OnnxNode>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (makers.has(name) || given.has(name)) throw graphError(`the value "${name}" is made twice`);
      makers.set(name, node);
    }
  }
  const order: OnnxNode[] = [];
  const state = new Map<OnnxNode, 'open' | 'done'>();
  for (const root of nodes) {
    // Depth first with an explicit stack: chains are longer than the call stack.
    const stack = [root];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (state.get(node) === undefined) {
        state.set(node, 'open');
        for (const name of readsOf(node).reverse()) {
          const maker = makers.get(name);
          if (!maker && !given.has(name))
            throw graphError(`nothing makes the value "${name}" that ${label(node)} reads`);
          if (!maker) continue;
          if (state.get(maker) === 'open') throw graphError(`${label(node)} and ${label(maker)} wait for each other`);
          if (!state.has(maker)) stack.push(maker);
        }
      } else {
        stack.pop();
        if (state.get(node) === 'open') order.push(node);
        state.set(node, 'done');
      }
    }
  }
  return order;
}

function label(node: OnnxNode): string {
  return `${node.type} "${node.name || node.outputs[0]}"`;
}

function graphError(what: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', `the ONNX graph is not valid: ${what}`, {
    remedy: 'check the file with onnx.checker.check_model; export it again',
  });
}
