/** Writes a slice as an ONNX model of its own: nodes as they are, weights as pointers into the original files. */
import { relative, sep } from 'node:path';
import { TandemError } from '../../errors.js';
import type { OnnxModel } from '../onnx.js';
import { type ByteRange, FileBytes } from './file-bytes.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import { ATTRIBUTE, ENTRY, EXTERNAL, elementId, GRAPH, INTS, MODEL, NODE, TENSOR } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';
import { travelling } from './travelling.js';
import { type ValueType, writeValueInfo } from './value-type.js';
import { WireWriter } from './wire-writer.js';

export interface SliceRequest {
  /** Ops [from, to). */
  readonly from: number;
  readonly to: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** What is known of the inputs; ORT infers the rest from them. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Weights to leave out and declare as inputs instead, so that a slice can be looked at without them. */
  readonly withoutWeights?: boolean;
  /** Inputs that first pass through a pool of one pixel, which gives what it gets (and 0 for -0). The graph calls them `x (given)`. */
  readonly pooled?: ReadonlySet<string>;
}

function givenName(name: string): string {
  return `${name} (given)`;
}

/** ORT and protobuf refuse a message of 2 GiB. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * The slice as a ModelProto. Weights are external data with paths relative to `model.graph.folder`.
 * Throws TANDEM_MODEL_UNSUPPORTED when what must be inline (bodies, typed fields) is 2 GiB or more.
 */
export function sliceProto(model: OnnxModel, request: SliceRequest): Uint8Array {
  using file = new FileBytes(model.graph.path);
  const ops = model.nodes.slice(request.from, request.to);
  const along = travelling(model, [...ops.flatMap(readsOf), ...request.outputs]);
  const nodes = [...along.nodes, ...ops];
  const { tensors } = along;
  checkSize(nodes, tensors, model.graph.path);
  const writer = new WireWriter();
  for (const range of model.proto.header) writer.raw(file.copy(range));
  writer.message(MODEL.graph, (graph) => writeGraph(graph, file, model, request, nodes, tensors));
  return writer.bytes();
}

function writeGraph(
  graph: WireWriter,
  file: FileBytes,
  model: OnnxModel,
  { inputs, outputs, types, withoutWeights, pooled }: SliceRequest,
  nodes: readonly OnnxNode[],
  tensors: readonly StoredTensor[],
): void {
  for (const name of pooled ?? []) graph.message(GRAPH.node, (node) => writePool(node, name));
  for (const { message } of nodes) graph.block(GRAPH.node, file.copy(message));
  graph.text(GRAPH.name, model.proto.name || 'slice');
  for (const tensor of tensors) {
    if (withoutWeights && tensor.storage.kind === 'bytes') {
      graph.message(GRAPH.input, (m) => writeValueInfo(m, tensor.name, tensor.element, tensor.dims));
    } else {
      writeTensor(graph, file, tensor, model.graph.folder);
    }
  }
  for (const name of inputs) {
    const type = types.get(name);
    const given = pooled?.has(name) ? givenName(name) : name;
    graph.message(GRAPH.input, (m) => writeValueInfo(m, given, elementId(type?.element ?? ''), type?.shape ?? null));
  }
  for (const name of outputs) graph.message(GRAPH.output, (m) => writeValueInfo(m, name, 0, null));
  if (withoutWeights) return;
  const inside = new Set(nodes.flatMap((node) => node.outputs));
  for (const [name, { message }] of model.proto.values) {
    if (inside.has(name)) graph.block(GRAPH.valueInfo, file.copy(message));
  }
}

/** An average over one pixel. */
function writePool(node: WireWriter, name: string): void {
  node.text(NODE.input, givenName(name)).text(NODE.output, name).text(NODE.opType, 'AveragePool');
  node.message(NODE.attribute, (attribute) => {
    attribute.text(ATTRIBUTE.name, 'kernel_shape').integer(ATTRIBUTE.ints, 1).integer(ATTRIBUTE.ints, 1);
    attribute.integer(ATTRIBUTE.type, INTS);
  });
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
      // A Constant's tensor has a name of its own or none; the last one given counts.
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
