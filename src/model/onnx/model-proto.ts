/** Reads the structure of an ONNX file: nodes, weights and types, each as a range of the file; weights are skipped. */
import { TandemError } from '../../errors.js';
import { ExternalData } from './external-data.js';
import type { ByteRange, FileBytes } from './file-bytes.js';
import { checkFunctions, type OnnxFunction, readFunction } from './functions.js';
import { type OnnxNode, readNode } from './node.js';
import { GRAPH, MODEL } from './schema.js';
import { readSparseTensor, readTensor, type StoredTensor } from './stored-tensor.js';
import { readValueInfo, type ValueInfo, type ValueType } from './value-type.js';
import { expectBytes, type Field, fieldsOf, invalid, textOf } from './wire.js';

export interface ModelProto {
  /** Fields that are copied unchanged into every slice, with their tags: IR version, opsets, functions. */
  readonly header: readonly ByteRange[];
  readonly irVersion: number;
  readonly name: string;
  /** In file order. */
  readonly nodes: readonly OnnxNode[];
  /** Initialisers, including sparse ones. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** As declared; may name initialisers. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Declared types of other values, each with its ValueInfoProto. */
  readonly values: ReadonlyMap<string, { readonly type: ValueType | null; readonly message: ByteRange }>;
  /** The model's own functions, by key. */
  readonly functions: ReadonlyMap<string, OnnxFunction>;
  readonly external: ExternalData;
}

const HEADER: ReadonlySet<number> = new Set([MODEL.irVersion, MODEL.producerName, MODEL.opsetImport, MODEL.functions]);
/** More nodes than any model has; each costs memory here. */
const MAX_NODES = 1_000_000;

/** Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED and TANDEM_WEIGHTS_*. */
export function readModelProto(file: FileBytes): ModelProto {
  const header: ByteRange[] = [];
  const functions = new Map<string, OnnxFunction>();
  const external = new ExternalData(file.path);
  let graph: Field | undefined;
  let irVersion = 0;
  for (const field of fieldsOf(file, file.whole)) {
    if (HEADER.has(field.number)) header.push({ from: field.start, to: field.to });
    if (field.number === MODEL.irVersion) irVersion = field.value;
    if (field.number === MODEL.functions) {
      const own = readFunction(file, field, external);
      functions.set(own.key, own);
    }
    if (field.number !== MODEL.graph) continue;
    expectBytes(file, field);
    if (graph) throw invalid(file, 'a model with two graphs');
    graph = field;
  }
  if (!graph) throw invalid(file, 'no ONNX graph in this file');
  if (irVersion < 3) {
    throw new TandemError(
      'TANDEM_MODEL_UNSUPPORTED',
      `${file.path} has IR version ${irVersion}; the oldest that works is 3`,
      {
        remedy: 'convert it with onnx.version_converter',
      },
    );
  }
  const read = readGraph(file, graph, external);
  checkFunctions(file, functions, read.nodes);
  return { header, irVersion, functions, external, ...read };
}

type GraphProto = Omit<ModelProto, 'header' | 'irVersion' | 'functions' | 'external'>;

function readGraph(file: FileBytes, graph: ByteRange, external: ExternalData): GraphProto {
  const nodes: OnnxNode[] = [];
  const tensors = new Map<string, StoredTensor>();
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const values = new Map<string, { type: ValueType | null; message: ByteRange }>();
  let name = '';
  for (const field of fieldsOf(file, graph)) {
    if (field.number === GRAPH.name) name = textOf(file, field);
    else if (field.number === GRAPH.node) nodes.push(readNode(file, field, external));
    else if (field.number === GRAPH.initializer) keep(tensors, readTensor(file, field, external));
    else if (field.number === GRAPH.sparseInitializer) keep(tensors, readSparseTensor(file, field));
    else if (field.number === GRAPH.input) inputs.push(readValueInfo(file, field));
    else if (field.number === GRAPH.output) outputs.push(readValueInfo(file, field));
    else if (field.number === GRAPH.valueInfo) {
      const { name, type } = readValueInfo(file, field);
      values.set(name, { type, message: field });
    }
    if (nodes.length > MAX_NODES) throw invalid(file, `more than ${MAX_NODES} nodes`);
  }
  return { name, nodes, tensors, inputs, outputs, values };
}

function keep(tensors: Map<string, StoredTensor>, tensor: StoredTensor): void {
  tensors.set(tensor.name, tensor);
}
