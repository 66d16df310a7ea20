/** A node of an ONNX graph: its inputs and outputs, also through the bodies of its subgraphs; its bytes stay in the file. */
import type { ExternalData } from './external-data.js';
import type { ByteRange, FileBytes } from './file-bytes.js';
import { ATTRIBUTE, ENTRY, GRAPH, NODE } from './schema.js';
import { SCOPE_KEY } from './scope.js';
import { readSparseTensor, readTensor, type StoredTensor } from './stored-tensor.js';
import { readValueInfo, type ValueType } from './value-type.js';
import { expectBytes, fieldsOf, invalid, textOf, VARINT } from './wire.js';

export interface OnnxNode {
  /** The NodeProto in the file. */
  readonly message: ByteRange;
  readonly name: string;
  readonly type: string;
  /** '' is ONNX's own. */
  readonly domain: string;
  /** Distinguishes functions of the same name. */
  readonly overload: string;
  /** As written; '' is an optional input that is not given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names from outside that the bodies of its subgraphs read. */
  readonly captured: readonly string[];
  /** The outputs of each body, in order, for control flow. */
  readonly bodies: readonly (readonly (ValueType | null)[])[];
  /** The nodes of all its bodies, nested ones included. */
  readonly inner: readonly OnnxNode[];
  /** Integer attributes by name. */
  readonly integers: ReadonlyMap<string, number>;
  readonly attributes: ReadonlySet<string>;
  /** The tensor in its attribute `value`, as a Constant has it. */
  readonly value: StoredTensor | null;
  /** Tensors inside the node: in attributes, in the weights of bodies. */
  readonly inside: readonly StoredTensor[];
  /** Module path, outermost first, if the exporter recorded it. */
  readonly scope: readonly string[];
}

/** Bodies in bodies; protobuf readers stop at 100 levels of messages, and each body is three. */
const MAX_DEPTH = 30;

/** Reads a NodeProto. Throws TANDEM_MODEL_INVALID, TANDEM_WEIGHTS_*. */
export function readNode(file: FileBytes, message: ByteRange, external: ExternalData, depth = 0): OnnxNode {
  const text = { name: '', type: '', domain: '', overload: '' };
  const inputs: string[] = [];
  const outputs: string[] = [];
  const captured = new Set<string>();
  const bodies: (readonly (ValueType | null)[])[] = [];
  const integers = new Map<string, number>();
  const attributes = new Set<string>();
  const inner: OnnxNode[] = [];
  const inside: StoredTensor[] = [];
  let value: StoredTensor | null = null;
  let scope: string[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === NODE.input) inputs.push(textOf(file, field));
    else if (field.number === NODE.output) outputs.push(textOf(file, field));
    else if (field.number === NODE.name) text.name = textOf(file, field);
    else if (field.number === NODE.opType) text.type = textOf(file, field);
    else if (field.number === NODE.domain) text.domain = textOf(file, field);
    else if (field.number === NODE.overload) text.overload = textOf(file, field);
    else if (field.number === NODE.metadata) scope = readScope(file, field) ?? scope;
    else if (field.number === NODE.attribute) {
      expectBytes(file, field);
      const attribute = readAttribute(file, field, external, depth);
      attributes.add(attribute.name);
      if (attribute.integer !== null) integers.set(attribute.name, attribute.integer);
      for (const tensor of attribute.inside) inside.push(tensor);
      if (attribute.name === 'value') value = attribute.inside[0] ?? null;
      for (const body of attribute.bodies) {
        bodies.push(body.outputs);
        for (const node of body.nodes) inner.push(node);
        for (const name of body.captured) captured.add(name);
      }
    }
  }
  const domain = text.domain === 'ai.onnx' ? '' : text.domain;
  return {
    message,
    ...text,
    domain,
    inputs,
    outputs,
    captured: [...captured],
    bodies,
    inner,
    integers,
    attributes,
    value,
    inside,
    scope,
  };
}

interface Attribute {
  name: string;
  integer: number | null;
  inside: StoredTensor[];
  bodies: Body[];
}

function readAttribute(file: FileBytes, message: ByteRange, external: ExternalData, depth: number): Attribute {
  const attribute: Attribute = { name: '', integer: null, inside: [], bodies: [] };
  for (const field of fieldsOf(file, message)) {
    const { number } = field;
    if (number === ATTRIBUTE.name) attribute.name = textOf(file, field);
    else if (number === ATTRIBUTE.i && field.wire === VARINT) attribute.integer = field.value;
    else if (number === ATTRIBUTE.tensor || number === ATTRIBUTE.tensors) {
      attribute.inside.push(readTensor(file, field, external));
    } else if (number === ATTRIBUTE.sparseTensor || number === ATTRIBUTE.sparseTensors) {
      attribute.inside.push(readSparseTensor(file, field));
    } else if (number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs) {
      if (depth >= MAX_DEPTH) throw invalid(file, `subgraphs lie more than ${MAX_DEPTH} deep`);
      const body = readBody(file, field, external, depth + 1);
      attribute.bodies.push(body);
      for (const tensor of body.inside) attribute.inside.push(tensor);
    }
  }
  return attribute;
}

/** A subgraph: the outer names that it reads, its outputs, and its tensors. */
interface Body {
  captured: Set<string>;
  outputs: (ValueType | null)[];
  inside: StoredTensor[];
  /** Its nodes and those of its bodies. */
  nodes: OnnxNode[];
}

function readBody(file: FileBytes, message: ByteRange, external: ExternalData, depth: number): Body {
  const own = new Set<string>();
  const captured = new Set<string>();
  const outputs: (ValueType | null)[] = [];
  const returned: string[] = [];
  const ranges: ByteRange[] = [];
  const nodes: OnnxNode[] = [];
  const inside: StoredTensor[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === GRAPH.node) ranges.push(field);
    else if (field.number === GRAPH.input) own.add(readValueInfo(file, field).name);
    else if (field.number === GRAPH.initializer) inside.push(readTensor(file, field, external));
    else if (field.number === GRAPH.sparseInitializer) inside.push(readSparseTensor(file, field));
    else if (field.number === GRAPH.output) {
      const { name, type } = readValueInfo(file, field);
      returned.push(name);
      outputs.push(type);
    }
  }
  for (const { name } of inside) own.add(name);
  for (const range of ranges) {
    const node = readNode(file, range, external, depth);
    for (const tensor of node.inside) inside.push(tensor);
    for (const inner of [node, ...node.inner]) nodes.push(inner);
    for (const name of [...node.inputs, ...node.captured]) {
      if (name !== '' && !own.has(name)) captured.add(name);
    }
    for (const name of node.outputs) own.add(name);
  }
  for (const name of returned) {
    if (!own.has(name)) captured.add(name);
  }
  return { captured, outputs, inside, nodes };
}

/** `['', 'encoder', 'encoder.layer.0']` as its parts, or `null` for other metadata. */
function readScope(file: FileBytes, entry: ByteRange): string[] | null {
  let key = '';
  let value: string | null = null;
  for (const field of fieldsOf(file, entry)) {
    if (field.number === ENTRY.key) key = textOf(file, field);
    if (field.number === ENTRY.value && key === SCOPE_KEY) value = textOf(file, field);
  }
  if (key !== SCOPE_KEY || value === null) return null;
  const paths = [...value.matchAll(/'([^']*)'/g)].map(([, path]) => path!);
  return (paths.at(-2) ?? '').split('.').filter((part) => part !== '');
}
