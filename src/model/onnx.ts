/** Reads an ONNX model's graph: ops, weights and where their bytes lie, legal cuts, blocks. The weights stay on disk. */
import { dirname, sep } from 'node:path';
import { TandemError } from '../errors.js';
import type { TensorSpec } from '../tensor.js';
import type { ModelGraph } from './graph.js';
import { layersOf } from './onnx/blocks.js';
import { type Holds, holdsOf } from './onnx/element-types.js';
import { FileBytes } from './onnx/file-bytes.js';
import { type ModelProto, readModelProto } from './onnx/model-proto.js';
import type { OnnxNode } from './onnx/node.js';
import { opsOf, weightsOf } from './onnx/ops.js';
import { type Ordered, orderNodes } from './onnx/order.js';
import { canCross } from './onnx/schema.js';
import { cannotCarry, heldValues, sealedCuts } from './onnx/seals.js';
import { isOutside, type StoredTensor } from './onnx/stored-tensor.js';
import type { ValueInfo } from './onnx/value-type.js';

/** The model graph together with what is needed to write slices of it. */
export interface OnnxModel {
  readonly graph: ModelGraph;
  readonly proto: ModelProto;
  /** The node of each op of the graph, by index. */
  readonly nodes: readonly OnnxNode[];
  /** Nodes that travel with their readers. */
  readonly derived: Ordered['derived'];
  /** Weights as stored: initialisers and Constants. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What each value holds, as far as the model itself tells. */
  readonly holds: ReadonlyMap<string, Holds>;
}

/** Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*. */
export async function readOnnxModel(path: string): Promise<ModelGraph> {
  return readOnnx(path).graph;
}

/**
 * As `readOnnxModel`, with the ranges that slices are written from. `path` may be a link, as in the hub's cache:
 * weights then lie beside the link or beside the file behind it.
 */
export function readOnnx(path: string): OnnxModel {
  using file = new FileBytes(path);
  const proto = readModelProto(file);
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
  const holds = heldValues(proto, ordered);
  const sealed = sealedCuts(proto, ordered.ops, holds);
  const ops = opsOf(ordered, tensors, returned);
  const weights = weightsOf(tensors, ops, ordered.ops);
  const graph: ModelGraph = {
    format: 'onnx',
    path,
    folder,
    files: [proto.external.model, ...proto.external.files],
    inputs: specs,
    outputs: returned,
    ops,
    layers: layersOf({
      ops,
      weights,
      sealed,
      nodes: ordered.ops,
      inputs: specs.map(({ name }) => name),
      outputs: returned,
    }),
    weights,
    sealed,
    fixedBatch: specs.map(({ shape }) => shape[0] ?? null).find((dim) => dim !== null) ?? null,
  };
  return { graph, proto, nodes: ordered.ops, derived: ordered.derived, tensors, holds };
}

/** The weights, Constants among them, and the nodes that are left. */
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
 * What a node carries inside is copied as it is, so its external data must be found by the model's own relative paths; in the hub's
 * cache, where ORT reads from the folder of the blobs, it is not.
 */
function checkInside(nodes: readonly OnnxNode[], { external }: ModelProto): void {
  for (const { name, inside } of nodes) {
    if (!inside.some((tensor) => isOutside(tensor, external))) continue;
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the body of "${name}" has weights in files that are links`, {
      remedy: 'copy the model and its weights into one folder, without links',
    });
  }
}

/** An input as the slot sees it. One without a shape is taken to have rows and nothing else. */
function specOf({ name, type }: ValueInfo): TensorSpec {
  const holds = type ? holdsOf(type) : '';
  if (!canCross(holds)) throw cannotCarry(name, holds || 'values of unknown type', 'takes');
  const shape = type?.shape?.map((dim) => (typeof dim === 'number' ? dim : null)) ?? [null];
  return { name, dtype: holds, shape };
}

/** The deepest folder that holds all of `files`: the one place that ORT may then read from. */
function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  const holds = (file: string) => file.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  while (!files.every(holds) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}
