/** Builds ONNX models node by node and writes them, with the weights inside or in a file beside. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ENTRY, EXTERNAL, elementId, GRAPH, MODEL, NODE, TENSOR } from '../../src/model/onnx/schema.js';
import { type Dimension, writeValueInfo } from '../../src/model/onnx/value-type.js';
import { WireWriter } from '../../src/model/onnx/wire-writer.js';
import { bytesOf, type DType, type TypedArray } from '../../src/tensor.js';
import { seeded, seededValues } from './seeded.js';

/** An attribute: a whole number, {float}, a list of whole numbers, text, {tensor}, or a body. */
export type Attribute =
  | number
  | { readonly float: number }
  | readonly number[]
  | string
  | { readonly strings: readonly string[] }
  | { readonly tensor: Values }
  | Graph;

/** A tensor with values, of any element type by name; int4 is packed two to a byte. */
export interface Values {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: TypedArray | readonly string[];
}

/** AttributeProto's field numbers and AttributeType. */
const ATTRIBUTE = { name: 1, f: 2, i: 3, s: 4, t: 5, g: 6, ints: 8, strings: 9, type: 20 } as const;
const TYPE = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, ints: 7, strings: 8 } as const;

interface Weight {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly make: () => TypedArray | readonly string[];
}

/** One graph, the model's own or the body of a node. Values are made when written, so that a large model never lies in memory. */
export class Graph {
  readonly #nodes: Uint8Array[] = [];
  readonly #inputs: Uint8Array[] = [];
  readonly #outputs: Uint8Array[] = [];
  readonly #values: Uint8Array[] = [];
  readonly weights: Weight[] = [];
  readonly #name: string;
  #seed: number;
  #count = 0;

  constructor(name: string, seed = 1) {
    this.#name = name;
    this.#seed = seed;
  }

  input(name: string, dtype: string, shape: readonly Dimension[] | null): string {
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  output(name: string, dtype = '', shape: readonly Dimension[] | null = null): string {
    this.#outputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  /** A note on what a value inside is. */
  value(name: string, dtype: string, shape: readonly Dimension[] | null): void {
    this.#values.push(valueInfo(name, dtype, shape));
  }

  /** A weight of seeded values; `scale` is 1 / sqrt(first dimension) unless given. */
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

  /** A constant of whole numbers, as shapes and axes are. */
  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant(name, { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) });
  }

  /** Adds a node and gives the name of its first output. Further outputs are named `<first>_1` and so on. */
  node(
    type: string,
    inputs: readonly string[],
    {
      name = '',
      outputs = 1,
      domain = '',
      ...attributes
    }: { name?: string; outputs?: number; domain?: string } & Record<string, unknown> = {},
  ): string {
    const first = name === '' ? `${this.#name}_${this.#count}` : `${name}_output_0`;
    this.#count++;
    const node = new WireWriter();
    for (const input of inputs) node.text(NODE.input, input);
    for (let n = 0; n < outputs; n++) node.text(NODE.output, n === 0 ? first : `${first}_${n}`);
    if (name !== '') node.text(NODE.name, name);
    node.text(NODE.opType, type);
    if (domain !== '') node.text(NODE.domain, domain);
    for (const [key, value] of Object.entries(attributes)) {
      node.message(NODE.attribute, (message) => writeAttribute(message, key, value as Attribute));
    }
    this.#nodes.push(node.bytes());
    return first;
  }

  /** The GraphProto. `place` says where a weight's bytes lie outside, or null for inside. */
  bytes(
    place: (weight: Weight) => { location: string; offset: number; length: number } | null = () => null,
  ): Uint8Array {
    const graph = new WireWriter();
    for (const node of this.#nodes) graph.block(GRAPH.node, node);
    graph.text(GRAPH.name, this.#name);
    for (const weight of this.weights) {
      graph.message(GRAPH.initializer, (tensor) => writeTensor(tensor, weight, place(weight)));
    }
    for (const input of this.#inputs) graph.block(GRAPH.input, input);
    for (const output of this.#outputs) graph.block(GRAPH.output, output);
    for (const value of this.#values) graph.block(GRAPH.valueInfo, value);
    return graph.bytes();
  }
}

export interface ModelOptions {
  readonly opset?: number;
  readonly irVersion?: number;
  /** Keep weights of 1 KiB and more in `<file>_data` beside the model. */
  readonly external?: boolean;
}

/** Writes `graph` as an .onnx file; weights are made and written one at a time. */
export function writeModel(
  file: string,
  graph: Graph,
  { opset = 19, irVersion = 9, external = false }: ModelOptions = {},
): string {
  const model = new WireWriter().integer(MODEL.irVersion, irVersion).text(MODEL.producerName, 'tandem');
  if (!external) {
    model.block(MODEL.graph, graph.bytes());
  } else {
    const location = `${basename(file)}_data`;
    const offsets = new Map<Weight, { location: string; offset: number; length: number }>();
    const out = openSync(join(dirname(file), location), 'w');
    let offset = 0;
    for (const weight of graph.weights) {
      const data = weight.make();
      if (!('buffer' in data) || data.byteLength < 1024) continue;
      const bytes = bytesOf(data);
      for (let done = 0; done < bytes.length; ) done += writeSync(out, bytes, done, bytes.length - done, offset + done);
      offsets.set(weight, { location, offset, length: bytes.length });
      // Aligned as exporters do, so that it can be mapped.
      offset += Math.ceil(bytes.length / 4096) * 4096;
    }
    closeSync(out);
    model.block(
      MODEL.graph,
      graph.bytes((weight) => offsets.get(weight) ?? null),
    );
  }
  for (const [domain, version] of [
    ['', opset],
    ['com.microsoft', 1],
  ] as const) {
    model.message(MODEL.opsetImport, (entry) => entry.text(1, domain).integer(2, version));
  }
  writeFileSync(file, model.bytes());
  return file;
}

function valueInfo(name: string, dtype: string, shape: readonly Dimension[] | null): Uint8Array {
  const message = new WireWriter();
  writeValueInfo(message, name, elementId(dtype), shape);
  return message.bytes();
}

function writeTensor(
  tensor: WireWriter,
  { name, dtype, shape, make }: Weight,
  place: { location: string; offset: number; length: number } | null,
): void {
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
