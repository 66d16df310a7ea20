/** A slice of a GraphModel as a graph of its own: the slice's nodes, placeholders for its inputs, and only the constants that it reads. */
import { calledBy, type Edge, edgeName, type GraphNode, reachableFunctions } from '../../model/graph-def.js';
import type { GraphModelGraph } from '../../model/graph-model.js';
import type { Slice } from '../../model/slice.js';

/** The arguments of `tf.loadGraphModel` without the weights' values. */
export interface GraphPart {
  readonly artifacts: {
    readonly modelTopology: object;
    readonly signature?: object;
    readonly modelInitializer?: unknown;
    readonly initializerSignature?: unknown;
  };
  /** Weights that it reads, initialiser of tables included. */
  readonly weights: readonly string[];
  /** Names of the placeholders, in the order of `slice.inputs`. */
  readonly feeds: readonly string[];
  /** Whether an op in it computes only asynchronously in tfjs. */
  readonly isAsync: boolean;
}

const ASYNC_OPS =
  /^(Switch|Merge|Enter|Exit|NextIteration|LoopCond|(Stateless)?(If|While)|TensorArray.*|TensorList.*|EmptyTensorList|Where|ListDiff|NonMaxSuppressionV[2-5]|(HashTable|LookupTable|InitializeTable).*)$/;
const TABLE_OPS = /^(HashTable|LookupTable|InitializeTable)/;

export function graphPart(graph: GraphModelGraph, slice: Slice): GraphPart {
  const { def, signature } = graph;
  const nodes = graph.nodes.slice(slice.from, slice.to);
  const read = new Set(nodes.flatMap(({ edges }) => edges.map(({ node }) => node)));
  const captured = Object.entries(signature.tables?.captured ?? {}).filter(([, { name }]) => read.has(nodeOf(name)));
  const tables = captured.length > 0 || nodes.some(({ op }) => TABLE_OPS.test(op)) ? signature.tables : null;
  const own = graph.ops.slice(slice.from, slice.to).flatMap((op) => op.weights);
  const weights = [...new Set([...own, ...(tables?.weights ?? [])])];
  const constants = weights.flatMap((name) => def.nodes.get(name) ?? []);
  const functions = reachableFunctions(
    def,
    nodes.flatMap(({ attr }) => calledBy(attr.values())),
  );
  const feeds = slice.inputs.map((_, n) => unusedName(graph, `tandem_input_${n}`));
  const rewritten = rewriter(graph, slice, nodes, feeds);
  return {
    artifacts: {
      modelTopology: {
        node: [
          ...feeds.map((name) => ({ name, op: 'Placeholder' })),
          ...constants.map(({ name, op }) => ({ name, op })),
          ...captured.map(([, { name }]) => def.nodes.get(nodeOf(name))!.raw),
          ...nodes.map(rewritten),
        ],
        library: { function: [...functions].map((name) => def.functions.get(name)!.raw) },
        versions: def.versions ?? { producer: 0, minConsumer: 0 },
      },
      ...(captured.length > 0 && { signature: { inputs: Object.fromEntries(captured) } }),
      ...(tables && { modelInitializer: tables.initializer, initializerSignature: tables.initializerSignature }),
    },
    weights,
    feeds,
    isAsync: nodes.some(({ op }) => ASYNC_OPS.test(op)),
  };
}

function nodeOf(tensor: string): string {
  return tensor.split(':')[0]!;
}

function unusedName(graph: GraphModelGraph, wanted: string): string {
  return graph.def.nodes.has(wanted) ? unusedName(graph, `${wanted}_`) : wanted;
}

/** The node as in the file, reading live tensors from their placeholders. A control dependency on an earlier slice is dropped. */
function rewriter(
  graph: GraphModelGraph,
  slice: Slice,
  nodes: readonly GraphNode[],
  feeds: readonly string[],
): (node: GraphNode) => object {
  const inside = new Set(nodes.map(({ name }) => name));
  const feedOf = new Map(slice.inputs.map((tensor, n) => [tensor, feeds[n]!]));
  const inputOf = new Map([...graph.signature.feeds].map(([input, node]) => [node, input]));
  const inputs = (edge: Edge): string[] => {
    if (edge.isControl) return inside.has(edge.node) ? [`^${edge.node}`] : [];
    if (inside.has(edge.node)) return [edgeName(edge)];
    return [feedOf.get(inputOf.get(edge.node) ?? edgeName(edge)) ?? edgeName(edge)];
  };
  return ({ raw, op, edges }) => ({
    ...raw,
    // The same op in tfjs. Only under this name tfjs treats it as asynchronous; otherwise it warns at every run.
    op: op === 'If' ? 'StatelessIf' : op,
    input: edges.flatMap(inputs),
  });
}
