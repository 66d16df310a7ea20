/** Reads an ONNX model's graph: ops, the byte ranges of weights, legal cuts, blocks. The weights stay on disk. */
import { dirname, sep } from 'node:path';
import { TandemError } from '../errors.js';
import { isDType, type TensorSpec } from '../tensor.js';
import type { Layer, ModelGraph } from './graph.js';
import { isBatchInvariant } from './onnx/batch-invariant.js';
import { layersOf } from './onnx/blocks.js';
import { cannotCarry } from './onnx/cannot-carry.js';
import { type ElementType, elementTypeOf, elementTypes } from './onnx/element-types.js';
import { FileBytes } from './onnx/file-bytes.js';
import { uncarriedCuts } from './onnx/forbidden-cuts.js';
import { type ModelProto, readModelProto } from './onnx/model-proto.js';
import type { OnnxNode } from './onnx/node.js';
import { opsOf, weightsOf } from './onnx/ops.js';
import { type Ordered, orderNodes } from './onnx/order.js';
import { isOutside, type StoredTensor } from './onnx/stored-tensor.js';
import type { ValueInfo } from './onnx/value-type.js';

/** The model graph together with what is needed to write slices of it. */
export interface OnnxModel {
  readonly graph: ModelGraph;
  readonly proto: ModelProto;
  /** The node of each op of the graph, by index. */
  readonly nodes: readonly OnnxNode[];
  /** Nodes that are copied into every slice with one of their readers. */
  readonly derived: Ordered['derived'];
  /** Weights as stored: initialisers and Constants. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The type of each value, as far as the model declares it. */
  readonly elementTypes: ReadonlyMap<string, ElementType>;
}

/** Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*. */
export async function readOnnxModel(path: string, fed: readonly string[] = []): Promise<ModelGraph> {
  return readOnnx(path, fed).graph;
}

/**
 * As `readOnnxModel`, with the ranges that slices are written from. `path` may be a link, as in the hub's cache:
 * weights are then next to the link or next to its target. `fed` names inputs that have a value in the model and are given another.
 */
export function readOnnx(path: string, fed: readonly string[] = []): OnnxModel {
  using file = new FileBytes(path);
  const whole = readModelProto(file);
  const kept = [...whole.tensors].filter(([name]) => !fed.includes(name) || !isInput(whole, name));
  const proto = { ...whole, tensors: new Map(kept) };
  const { tensors, rest } = takeConstants(proto);
  const inputs = proto.inputs.filter(({ name }) => !proto.tensors.has(name));
  const returned = proto.outputs.map(({ name }) => name);
  const ordered = orderNodes(rest, {
    weights: new Set(tensors.keys()),
    inputs: new Set(inputs.map(({ name }) => name)),
    returned: new Set(returned),
    functions: proto.functions,
  });
  if (ordered.ops.length === 0) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${path} computes nothing from its inputs`);
  }
  const folder = commonFolder([proto.external.model, ...proto.external.files]);
  if (!proto.external.isBeside(folder)) checkInside(rest, proto);
  const specs = inputs.map(specOf);
  const fixedBatch = fixedBatchOf(specs);
  const types = elementTypes(proto, ordered);
  const ops = opsOf(ordered, tensors, returned);
  const forbiddenCuts = uncarriedCuts({ proto, ops, nodes: ordered.ops, types });
  const weights = weightsOf(tensors, ops, ordered.ops);
  const read = {
    format: 'onnx' as const,
    path,
    folder,
    files: [proto.external.model, ...proto.external.files],
    inputs: specs,
    outputs: returned,
    ops,
    weights,
    forbiddenCuts,
    fixedBatch,
    batchInvariant: isBatchInvariant(ordered.ops, specs, (name) => tensors.has(name) || ordered.derived.has(name)),
    dimensions: new Map([...inputs, ...proto.outputs].map(({ name, type }) => [name, type?.shape ?? null])),
    ...(fed.length > 0 ? { fed } : {}),
  };
  const graph: ModelGraph = { ...read, layers: blocksOf(read, ordered.ops) };
  const model = { graph, proto, nodes: ordered.ops, derived: ordered.derived, tensors, elementTypes: types };
  models.set(graph, model);
  return model;
}

/** The model of each graph, as long as the graph is referenced. */
const models = new WeakMap<ModelGraph, OnnxModel>();

/** The model of a graph: as it was read, or read again if the graph is a changed one. */
export function onnxModelOf(graph: ModelGraph): OnnxModel {
  return models.get(graph) ?? readOnnx(graph.path, graph.fed);
}

/** The layers of a graph if it may be cut in fewer places. */
export function layersWithin(graph: ModelGraph, forbiddenCuts: ReadonlySet<number>): Layer[] {
  return blocksOf({ ...graph, forbiddenCuts }, onnxModelOf(graph).nodes);
}

function blocksOf(
  { ops, weights, forbiddenCuts, inputs, outputs }: Omit<ModelGraph, 'layers'>,
  nodes: readonly OnnxNode[],
): Layer[] {
  const names = inputs.map(({ name }) => name);
  return layersOf({ ops, weights, forbiddenCuts, nodes, inputs: names, outputs });
}

function isInput({ inputs }: ModelProto, name: string): boolean {
  return inputs.some((input) => input.name === name);
}

/** The weights, including Constants, and the other nodes. */
function takeConstants(proto: ModelProto): { tensors: Map<string, StoredTensor>; rest: OnnxNode[] } {
  const tensors = new Map(proto.tensors);
  const rest: OnnxNode[] = [];
  for (const node of proto.nodes) {
    const [name] = node.outputs;
    if (node.type !== 'Constant' || node.domain !== '' || !node.value || !name || tensors.has(name)) rest.push(node);
    else tensors.set(name, { ...node.value, name });
  }
  return { tensors, rest };
}

/**
 * A node's inner tensors are copied unchanged, so their external data must be found by the model's own relative paths; in the hub's
 * cache, where the files are in the folder of the blobs, it is not.
 */
function checkInside(nodes: readonly OnnxNode[], { external }: ModelProto): void {
  for (const { name, inside } of nodes) {
    if (!inside.some((tensor) => isOutside(tensor, external))) continue;
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the body of "${name}" has weights in files that are links`, {
      remedy: 'copy the model and its weights into one folder, without links',
    });
  }
}

/** An input as a slot holds it. An input without a shape is assumed to have only the rows' axis. */
function specOf({ name, type }: ValueInfo): TensorSpec {
  const dtype = type ? elementTypeOf(type) : '';
  if (!isDType(dtype)) throw cannotCarry(name, dtype || 'unknown', 'takes');
  const shape = type?.shape?.map((dim) => (typeof dim === 'number' ? dim : null)) ?? [null];
  return { name, dtype, shape };
}

/** The fixed number of rows of the inputs, `null` if they take any. Throws TANDEM_MODEL_UNSUPPORTED. */
function fixedBatchOf(specs: readonly TensorSpec[]): number | null {
  const fixed = specs.find(({ shape: [dim = null] }) => dim !== null);
  if (!fixed) return null;
  const [rows] = fixed.shape;
  if (specs.some(({ shape: [dim] }) => dim !== 0)) return rows!;
  const { name, shape } = fixed;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `input "${name}" is declared with 0 rows ([${shape.map((dim) => dim ?? '?').join(', ')}]), and takes no others`,
    {
      remedy:
        'export it with an open batch dimension; or in Python, for each input and output: onnx.tools.update_model_dims.update_inputs_outputs_dims',
    },
  );
}

/** The deepest folder that contains all of `files`: the folder from which an engine reads. */
function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  const holds = (file: string) => file.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  while (!files.every(holds) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}
