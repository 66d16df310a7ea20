/** Writes a slice as an ONNX model: nodes unchanged, weights as pointers into the original files. */
import { relative, sep } from 'node:path';
import { TandemError } from '../../errors.js';
import type { OnnxModel } from '../onnx.js';
import { constantClosure } from './constant-closure.js';
import { type ByteRange, FileBytes } from './file-bytes.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import { ENTRY, EXTERNAL, elementId, GRAPH, MODEL, TENSOR } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';
import { type ValueType, writeValueInfo } from './value-type.js';
import { WireWriter } from './wire-writer.js';

export interface SliceRequest {
  /** Ops [from, to). */
  readonly from: number;
  readonly to: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Known types of the inputs, from which the engine infers the rest. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Weights to leave out and declare as inputs instead, so that a slice can be inspected without them. */
  readonly withoutWeights?: boolean;
  /** Additional nodes of the engine before all others, as NodeProtos. */
  readonly ownNodes?: readonly Uint8Array[];
  /** The slice's names of inputs whose own names are results of such nodes. */
  readonly inputNames?: ReadonlyMap<string, string>;
  /** Weights that are declared as inputs too: an engine then expects other values, and does not fold them. */
  readonly overridable?: ReadonlySet<string>;
  /** Ops before `from` that are computed too. */
  readonly shared?: readonly number[];
  /** By op: nodes that are written in its place, as NodeProtos; none leaves it out. */
  readonly replaced?: ReadonlyMap<number, readonly Uint8Array[]>;
}

/** Protobuf refuses a message of 2 GiB. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * The slice as a ModelProto. Weights are external data with paths relative to `model.graph.folder`.
 * Throws TANDEM_MODEL_UNSUPPORTED if inline data (bodies, typed fields) is 2 GiB or more.
 */
export function sliceProto(model: OnnxModel, request: SliceRequest): Uint8Array {
  using file = new FileBytes(model.graph.path);
  const { from, to, shared = [], replaced } = request;
  const indices = [...shared, ...Array.from({ length: to - from }, (_, n) => from + n)];
  const ops = indices.map((k) => model.nodes[k]!);
  const instead = new Map([...(replaced ?? [])].map(([k, messages]) => [model.nodes[k]!, messages]));
  const along = constantClosure(model, [...ops.flatMap(readsOf), ...request.outputs]);
  const nodes = [...along.nodes, ...ops];
  const { tensors } = along;
  checkSize(nodes, tensors, model.graph.path);
  const writer = new WireWriter();
  for (const range of model.proto.header) writer.raw(file.copy(range));
  // Before version 4 every initialiser had to be an input too, without effect. The last duplicate is used.
  if (request.overridable?.size) writer.integer(MODEL.irVersion, Math.max(4, model.proto.irVersion));
  writer.message(MODEL.graph, (graph) => writeGraph(graph, file, model, { ...request, instead }, nodes, tensors));
  return writer.bytes();
}

function writeGraph(
  graph: WireWriter,
  file: FileBytes,
  model: OnnxModel,
  {
    inputs,
    outputs,
    types,
    withoutWeights,
    ownNodes,
    inputNames,
    overridable,
    instead,
  }: SliceRequest & {
    readonly instead: ReadonlyMap<OnnxNode, readonly Uint8Array[]>;
  },
  nodes: readonly OnnxNode[],
  tensors: readonly StoredTensor[],
): void {
  for (const node of ownNodes ?? []) graph.block(GRAPH.node, node);
  for (const node of nodes) {
    for (const message of instead.get(node) ?? [file.copy(node.message)]) graph.block(GRAPH.node, message);
  }
  graph.text(GRAPH.name, model.proto.name || 'slice');
  for (const tensor of tensors) {
    if (withoutWeights && tensor.storage.kind === 'bytes') {
      graph.message(GRAPH.input, (m) => writeValueInfo(m, tensor.name, tensor.element, tensor.dims));
      continue;
    }
    writeTensor(graph, file, tensor, model.graph.folder);
    if (overridable?.has(tensor.name))
      graph.message(GRAPH.input, (m) => writeValueInfo(m, tensor.name, tensor.element, tensor.dims));
  }
  for (const name of inputs) {
    const type = types.get(name);
    const given = inputNames?.get(name) ?? name;
    graph.message(GRAPH.input, (m) => writeValueInfo(m, given, elementId(type?.element ?? ''), type?.shape ?? null));
  }
  for (const name of outputs) graph.message(GRAPH.output, (m) => writeValueInfo(m, name, 0, null));
  if (withoutWeights) return;
  const inside = new Set(nodes.flatMap((node) => node.outputs));
  for (const [name, { message }] of model.proto.values) {
    if (inside.has(name)) graph.block(GRAPH.valueInfo, file.copy(message));
  }
}

function writeTensor(
  graph: WireWriter,
  file: FileBytes,
  { name, element, dims, bytes, storage }: StoredTensor,
  folder: string,
): void {
  if (storage.kind === 'sparse') {
    graph.block(GRAPH.sparseInitializer, file.copy(storage.message));
    return;
  }
  graph.message(GRAPH.initializer, (tensor) => {
    if (storage.kind === 'message') {
      // A Constant's tensor has a name of its own or none; the last duplicate is used.
      tensor.raw(file.copy(storage.message)).text(TENSOR.name, name);
      return;
    }
    for (const dim of dims) tensor.integer(TENSOR.dims, dim);
    tensor.integer(TENSOR.dataType, element).text(TENSOR.name, name);
    if (bytes === 0) {
      tensor.block(TENSOR.rawData, new Uint8Array());
      return;
    }
    const entry = (key: string, value: string) =>
      tensor.message(TENSOR.externalData, (m) => m.text(ENTRY.key, key).text(ENTRY.value, value));
    entry('location', relative(folder, storage.file).split(sep).join('/'));
    entry('offset', String(storage.from));
    entry('length', String(bytes));
    tensor.integer(TENSOR.dataLocation, EXTERNAL);
  });
}

function checkSize(nodes: readonly OnnxNode[], tensors: readonly StoredTensor[], path: string): void {
  const inline: ByteRange[] = nodes.map(({ message }) => message);
  for (const { storage } of tensors) if (storage.kind !== 'bytes') inline.push(storage.message);
  if (inline.reduce((bytes, { from, to }) => bytes + to - from, 0) < MAX_BYTES) return;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `${path} keeps 2 GiB or more of weights where they cannot be pointed to`,
    {
      remedy: 'save it again with external data: onnx.save(model, path, save_as_external_data=True)',
    },
  );
}
