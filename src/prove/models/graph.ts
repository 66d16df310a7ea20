/** Builds ONNX graphs node by node; values are generated when they are written. */
import { ENTRY, EXTERNAL, elementId, GRAPH, NODE, SPARSE, TENSOR } from '../../model/onnx/schema.js';
import { SCOPE_KEY } from '../../model/onnx/scope.js';
import { type Dimension, writeValueInfo } from '../../model/onnx/value-type.js';
import { WireWriter } from '../../model/onnx/wire-writer.js';
import { bytesOf, type DType, type TypedArray } from '../../tensor.js';
import { seeded, seededValues } from './seeded.js';

/** An attribute: a whole number, {float}, a list of whole numbers, text, {tensor}, or a graph. */
export type Attribute =
  | number
  | { readonly float: number }
  | readonly number[]
  | string
  | { readonly strings: readonly string[] }
  | { readonly tensor: Values }
  | Graph;

/** A tensor with values of any named element type; int4 has two values per byte. */
export interface Values {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: TypedArray | readonly string[];
}

/** AttributeProto's field numbers and AttributeType. */
const ATTRIBUTE = { name: 1, f: 2, i: 3, s: 4, t: 5, g: 6, ints: 8, strings: 9, type: 20 } as const;
const TYPE = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, ints: 7, strings: 8 } as const;

interface NodeOptions {
  readonly name?: string;
  /** Name of the first output if it is an output of the model; or the names of all. */
  readonly as?: string | readonly string[];
  readonly outputs?: number;
  readonly domain?: string;
  readonly scopes?: readonly string[];
}

/** A weight whose values are generated later. */
export interface Weight {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly make: () => TypedArray | readonly string[];
}

/** Position of a weight's bytes in the external file. */
export interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** One graph: the model's, or the body of a node. Values are generated when written, so that a large model is never in memory. */
export class Graph {
  readonly nodes: Uint8Array[] = [];
  readonly #names: string[] = [];
  readonly #inputs: Uint8Array[] = [];
  readonly #outputs: Uint8Array[] = [];
  readonly #values: Uint8Array[] = [];
  readonly #sparse: Uint8Array[] = [];
  readonly weights: Weight[] = [];
  readonly #name: string;
  #seed: number;
  #count = 0;

  constructor(name: string, seed = 1) {
    this.#name = name;
    this.#seed = seed;
  }

  /** The seed of the next weight. */
  get seed(): number {
    return this.#seed;
  }

  input(name: string, dtype: string, shape: readonly Dimension[] | null): string {
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  output(name: string, dtype = '', shape: readonly Dimension[] | null = null): string {
    this.#outputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  /** Declares the type and shape of an inner value. */
  value(name: string, dtype: string, shape: readonly Dimension[] | null): void {
    this.#values.push(valueInfo(name, dtype, shape));
  }

  /** Adds a weight of seeded values; `scale` is 1 / sqrt(first dimension) unless given. */
  weight(
    name: string,
    shape: readonly number[],
    dtype: DType = 'float32',
    scale = 1 / Math.sqrt(shape[0] ?? 1),
  ): string {
    const seed = this.#seed++;
    this.weights.push({ name, dtype, shape, make: () => seededValues(dtype, shape, scale, seeded(seed)) });
    return name;
  }

  constant(name: string, { dtype, shape, data }: Values): string {
    this.weights.push({ name, dtype, shape, make: () => data });
    return name;
  }

  /** A matrix that is zero but for `values` at `indices` (row-major positions, ascending). */
  sparse(name: string, shape: readonly number[], indices: readonly number[], values: readonly number[]): string {
    const tensor = (as: string, dtype: string, data: TypedArray) => {
      const message = new WireWriter();
      writeTensor(message, { name: as, dtype, shape: [values.length], make: () => data }, null);
      return message.bytes();
    };
    const sparse = new WireWriter()
      .block(SPARSE.values, tensor(name, 'float32', Float32Array.from(values)))
      .block(SPARSE.indices, tensor(`${name}_indices`, 'int64', BigInt64Array.from(indices, BigInt)));
    for (const dim of shape) sparse.integer(SPARSE.dims, dim);
    this.#sparse.push(sparse.bytes());
    return name;
  }

  /** A constant of whole numbers, as shapes and axes are. */
  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant(name, { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) });
  }

  /**
   * Adds a node and returns the name of its first output. Further outputs are named `<first>_1` and so on. `scopes` are its enclosing
   * modules, as PyTorch's newer exporter records them; every other option is an attribute.
   */
  node(
    type: string,
    inputs: readonly string[],
    {
      name = '',
      as = '',
      outputs = 1,
      domain = '',
      scopes = [],
      ...attributes
    }: NodeOptions & Record<string, unknown> = {},
  ): string {
    const names = typeof as === 'string' ? [as] : as;
    const first = names[0] || (name === '' ? `${this.#name}_${this.#count}` : `${name}_output_0`);
    const count = Math.max(outputs, names.length);
    this.#count++;
    const node = new WireWriter();
    for (const input of inputs) node.text(NODE.input, input);
    for (let n = 0; n < count; n++) node.text(NODE.output, n === 0 ? first : (names[n] ?? `${first}_${n}`));
    if (name !== '') node.text(NODE.name, name);
    node.text(NODE.opType, type);
    if (domain !== '') node.text(NODE.domain, domain);
    for (const [key, value] of Object.entries(attributes)) {
      node.message(NODE.attribute, (message) => writeAttribute(message, key, value as Attribute));
    }
    if (scopes.length > 0) writeScopes(node, scopes);
    this.nodes.push(node.bytes());
    this.#names.push(name);
    return first;
  }

  /** Puts each named node into a module `modules.N`. */
  intoModules(modules: ReadonlyMap<string, number>): void {
    for (const [at, name] of this.#names.entries()) {
      const module = modules.get(name);
      if (module === undefined) continue;
      const scopes = new WireWriter();
      writeScopes(scopes, [`modules.${module}`, name]);
      this.nodes[at] = Buffer.concat([this.nodes[at]!, scopes.bytes()]);
    }
  }

  /** The GraphProto. `place` returns the external position of a weight, or null for an inline weight. */
  bytes(place: (weight: Weight) => Place | null = () => null): Uint8Array {
    const graph = new WireWriter();
    for (const node of this.nodes) graph.block(GRAPH.node, node);
    graph.text(GRAPH.name, this.#name);
    for (const weight of this.weights) {
      graph.message(GRAPH.initializer, (tensor) => writeTensor(tensor, weight, place(weight)));
    }
    for (const sparse of this.#sparse) graph.block(GRAPH.sparseInitializer, sparse);
    for (const input of this.#inputs) graph.block(GRAPH.input, input);
    for (const output of this.#outputs) graph.block(GRAPH.output, output);
    for (const value of this.#values) graph.block(GRAPH.valueInfo, value);
    return graph.bytes();
  }
}

/** The modules that a node stands in, outermost first, the node itself last. */
function writeScopes(node: WireWriter, scopes: readonly string[]): void {
  const list = `[${scopes.map((scope) => `'${scope}'`).join(', ')}]`;
  node.message(NODE.metadata, (entry) => entry.text(ENTRY.key, SCOPE_KEY).text(ENTRY.value, list));
}

function valueInfo(name: string, dtype: string, shape: readonly Dimension[] | null): Uint8Array {
  const message = new WireWriter();
  writeValueInfo(message, name, elementId(dtype), shape);
  return message.bytes();
}

function writeTensor(tensor: WireWriter, { name, dtype, shape, make }: Weight, place: Place | null): void {
  for (const dim of shape) tensor.integer(TENSOR.dims, dim);
  tensor.integer(TENSOR.dataType, elementId(dtype)).text(TENSOR.name, name);
  if (place) {
    for (const [key, value] of Object.entries(place)) {
      tensor.message(TENSOR.externalData, (entry) => entry.text(ENTRY.key, key).text(ENTRY.value, String(value)));
    }
    tensor.integer(TENSOR.dataLocation, EXTERNAL);
    return;
  }
  const data = make();
  if ('buffer' in data) tensor.block(TENSOR.rawData, bytesOf(data));
  else for (const text of data) tensor.text(TENSOR.stringData, text);
}

function writeAttribute(message: WireWriter, name: string, value: Attribute): void {
  message.text(ATTRIBUTE.name, name);
  if (typeof value === 'number') message.integer(ATTRIBUTE.i, value).integer(ATTRIBUTE.type, TYPE.int);
  else if (typeof value === 'string') message.text(ATTRIBUTE.s, value).integer(ATTRIBUTE.type, TYPE.string);
  else if (value instanceof Graph) message.block(ATTRIBUTE.g, value.bytes()).integer(ATTRIBUTE.type, TYPE.graph);
  else if ('float' in value) message.float(ATTRIBUTE.f, value.float).integer(ATTRIBUTE.type, TYPE.float);
  else if ('strings' in value) {
    for (const text of value.strings) message.text(ATTRIBUTE.strings, text);
    message.integer(ATTRIBUTE.type, TYPE.strings);
  } else if ('tensor' in value) {
    const { dtype, shape, data } = value.tensor;
    message.message(ATTRIBUTE.t, (tensor) => writeTensor(tensor, { name: '', dtype, shape, make: () => data }, null));
    message.integer(ATTRIBUTE.type, TYPE.tensor);
  } else {
    for (const whole of value) message.integer(ATTRIBUTE.ints, whole);
    message.integer(ATTRIBUTE.type, TYPE.ints);
  }
}
