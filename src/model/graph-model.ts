/** Reads a TensorFlow.js GraphModel: one op per node of its GraphDef, constants as weights. No weight bytes are read. */
import { dirname } from 'node:path';
import { TandemError } from '../errors.js';
import { opsAreBatchInvariant } from './batch-invariant.js';
import type { ModelGraph, Op } from './graph.js';
import {
  calledBy,
  type Edge,
  edgeName,
  type GraphDef,
  type GraphNode,
  reachableFunctions,
  readGraphDef,
  topologicalOrder,
} from './graph-def.js';
import { graphForbiddenCuts } from './graph-forbidden-cuts.js';
import { fixedBatch } from './input-spec.js';
import { isPlaceholder, readSignature, type Signature } from './signature.js';
import { readWeightsManifest, type StoredWeight, shardsOf } from './weights-manifest.js';

export interface GraphModelGraph extends ModelGraph {
  readonly weights: ReadonlyMap<string, StoredWeight>;
  readonly def: GraphDef;
  /** 1:1 with `ops`. */
  readonly nodes: readonly GraphNode[];
  readonly signature: Signature;
}

/**
 * The graph of the GraphModel in `manifest`, the parsed model.json at `file` (absolute).
 * Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*.
 */
export async function readGraphModel(file: string, manifest: Record<string, unknown>): Promise<GraphModelGraph> {
  const def = readGraphDef(manifest.modelTopology);
  const signature = readSignature(def, manifest);
  const { inputs, outputs, outputNames } = signature;
  const weights = await readWeightsManifest(file, manifest.weightsManifest);
  const nodes = topologicalOrder(def, neededNodes(def, signature));
  const ops = opsOf(def, nodes, signature, weights);
  return {
    format: 'graph-model',
    path: file,
    folder: dirname(file),
    files: [file, ...shardsOf(weights)],
    inputs,
    outputs,
    outputNames,
    ops,
    layers: ops.map(({ index, name, type }) => ({ index, name, type, from: index, to: index + 1 })),
    weights,
    forbiddenCuts: graphForbiddenCuts(ops, outputs, nodes),
    fixedBatch: fixedBatch(inputs),
    batchInvariant: opsAreBatchInvariant(ops, inputs),
    def,
    nodes,
    signature,
  };
}

/** Names of the nodes that an output depends on, without constants and feeds. */
function neededNodes({ nodes }: GraphDef, { outputs, feeds, tables }: Signature): Set<string> {
  const given = new Set([
    ...feeds.values(),
    ...Object.values(tables?.captured ?? {}).map(({ name }) => name.split(':')[0]!),
  ]);
  const needed = new Set<string>();
  const waiting = outputs.filter((tensor) => !feeds.has(tensor)).map((tensor) => tensor.split(':')[0]!);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = nodes.get(name)!;
    if (needed.has(name) || given.has(name) || node.op === 'Const') continue;
    if (isPlaceholder(node) && node.edges.length === 0) {
      throw invalid(`the graph needs ${name} to be fed, but the signature does not list it`);
    }
    needed.add(name);
    waiting.push(...node.edges.map((edge) => edge.node));
  }
  return needed;
}

/** The ops for `order`. Only tensors with a reader are listed as outputs. */
function opsOf(
  def: GraphDef,
  order: readonly GraphNode[],
  signature: Signature,
  weights: ReadonlyMap<string, StoredWeight>,
): Op[] {
  const computed = new Set(order.map(({ name }) => name));
  const feedOf = new Map([...signature.feeds].map(([input, node]) => [node, input]));
  const tensorOf = ({ node, index }: Edge) => (computed.has(node) ? edgeName({ node, index }) : feedOf.get(node));
  const data = ({ edges }: GraphNode) => edges.filter(({ isControl }) => !isControl);
  const read = new Map<string, Set<number>>();
  const returned = signature.outputs.map((tensor) => ({
    node: tensor.split(':')[0]!,
    index: Number(tensor.split(':')[1] ?? 0),
  }));
  for (const { node, index } of [...order.flatMap(data), ...returned])
    read.set(node, (read.get(node) ?? new Set()).add(index));
  return order.map((node, index) => ({
    index,
    name: node.name,
    type: node.op,
    inputs: data(node).flatMap((edge) => tensorOf(edge) ?? []),
    outputs: [...(read.get(node.name) ?? [])]
      .sort((a, b) => a - b)
      .map((output) => edgeName({ node: node.name, index: output })),
    weights: weightsOf(def, node, weights),
  }));
}

/** Constants that the node reads, itself or in functions that it calls. */
function weightsOf(def: GraphDef, node: GraphNode, weights: ReadonlyMap<string, StoredWeight>): string[] {
  const own = node.edges
    .filter((edge) => !edge.isControl && def.nodes.get(edge.node)?.op === 'Const')
    .map((edge) => edge.node);
  const called = [...reachableFunctions(def, calledBy(node.attr.values()))].flatMap(
    (name) => def.functions.get(name)!.constants,
  );
  for (const name of [...own, ...called]) {
    if (!weights.has(name)) {
      throw new TandemError(
        'TANDEM_WEIGHTS_MISSING',
        `the node ${node.name} reads the constant ${name}, which the weightsManifest does not list`,
        {
          remedy: 'convert the model again, with its weights',
        },
      );
    }
  }
  return [...new Set([...own, ...called])];
}

function invalid(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', message, { remedy: 'convert the model again' });
}
