/** A node of an ONNX graph: what it reads and makes, also through the bodies of its subgraphs; its bytes stay in the file. */
import type { ByteRange, FileBytes } from './file-bytes.js';
import { ATTRIBUTE, ENTRY, GRAPH, NODE, SPARSE, TENSOR } from './schema.js';
import { SCOPE_KEY } from './scope.js';
import { readValueInfo, type ValueType } from './value-type.js';
import { expectBytes, fieldsOf, invalid, textOf, VARINT } from './wire.js';

export interface OnnxNode {
  /** The NodeProto in the file. */
  readonly message: ByteRange;
  readonly name: string;
  readonly type: string;
  /** '' is ONNX's own. */
  readonly domain: string;
  /** As written; '' stands for an optional input that is not given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names from outside that the bodies of its subgraphs read. */
  readonly captured: readonly string[];
  /** What each body returns, in order, for control flow. */
  readonly bodies: readonly (readonly (ValueType | null)[])[];
  /** Integer attributes by name. */
  readonly integers: ReadonlyMap<string, number>;
  readonly attributes: ReadonlySet<string>;
  /** The tensor in its attribute `value`, as a Constant has it. */
  readonly value: ByteRange | null;
  /** Module path, outermost first, where the exporter wrote it down. */
  readonly scope: readonly string[];
}

/** Bodies in bodies; protobuf readers stop at 100 levels of messages, and each body is three. */
const MAX_DEPTH = 30;

/** Reads a NodeProto. Throws TANDEM_MODEL_INVALID. */
export function readNode(file: FileBytes, message: ByteRange, depth = 0): OnnxNode {
  const text = { name: '', type: '', domain: '' };
  const inputs: string[] = [];
  const outputs: string[] = [];
  const captured = new Set<string>();
  const bodies: (readonly (ValueType | null)[])[] = [];
  const integers = new Map<string, number>();
  const attributes = new Set<string>();
  let value: ByteRange | null = null;
  let scope: string[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === NODE.input) inputs.push(textOf(file, field));
    else if (field.number === NODE.output) outputs.push(textOf(file, field));
    else if (field.number === NODE.name) text.name = textOf(file, field);
    else if (field.number === NODE.opType) text.type = textOf(file, field);
    else if (field.number === NODE.domain) text.domain = textOf(file, field);
    else if (field.number === NODE.metadata) scope = readScope(file, field) ?? scope;
    else if (field.number === NODE.attribute) {
      expectBytes(file, field);
      const attribute = readAttribute(file, field, depth);
      attributes.add(attribute.name);
      if (attribute.integer !== null) integers.set(attribute.name, attribute.integer);
      if (attribute.name === 'value') value = attribute.tensor;
      for (const body of attribute.bodies) {
        bodies.push(body.outputs);
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
    integers,
    attributes,
    value,
    scope,
  };
}

interface Attribute {
  name: string;
  integer: number | null;
  tensor: ByteRange | null;
  bodies: Body[];
}

function readAttribute(file: FileBytes, message: ByteRange, depth: number): Attribute {
  const attribute: Attribute = { name: '', integer: null, tensor: null, bodies: [] };
  for (const field of fieldsOf(file, message)) {
    if (field.number === ATTRIBUTE.name) attribute.name = textOf(file, field);
    else if (field.number === ATTRIBUTE.i && field.wire === VARINT) attribute.integer = field.value;
    else if (field.number === ATTRIBUTE.tensor) {
      expectBytes(file, field);
      attribute.tensor = field;
    } else if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs) {
      expectBytes(file, field);
      if (depth >= MAX_DEPTH) throw invalid(file, `subgraphs lie more than ${MAX_DEPTH} deep`);
      attribute.bodies.push(readBody(file, field, depth + 1));
    }
  }
  return attribute;
}

/** A subgraph: which outer names it reads and what it returns. */
interface Body {
  captured: Set<string>;
  outputs: (ValueType | null)[];
}

function readBody(file: FileBytes, message: ByteRange, depth: number): Body {
  const own = new Set<string>();
  const captured = new Set<string>();
  const outputs: (ValueType | null)[] = [];
  const returned: string[] = [];
  const nodes: ByteRange[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === GRAPH.node) nodes.push(field);
    else if (field.number === GRAPH.input) own.add(readValueInfo(file, field).name);
    else if (field.number === GRAPH.initializer) own.add(nameIn(file, field, TENSOR.name));
    else if (field.number === GRAPH.sparseInitializer) {
      for (const part of fieldsOf(file, field)) {
        if (part.number === SPARSE.values) own.add(nameIn(file, part, TENSOR.name));
      }
    } else if (field.number === GRAPH.output) {
      const { name, type } = readValueInfo(file, field);
      returned.push(name);
      outputs.push(type);
    }
  }
  for (const range of nodes) {
    const node = readNode(file, range, depth);
    for (const name of [...node.inputs, ...node.captured]) {
      if (name !== '' && !own.has(name)) captured.add(name);
    }
    for (const name of node.outputs) own.add(name);
  }
  for (const name of returned) {
    if (!own.has(name)) captured.add(name);
  }
  return { captured, outputs };
}

function nameIn(file: FileBytes, message: ByteRange, number: number): string {
  let name = '';
  for (const field of fieldsOf(file, message)) {
    if (field.number === number) name = textOf(file, field);
  }
  return name;
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
