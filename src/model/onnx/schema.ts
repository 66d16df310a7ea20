/** Field numbers and element types of onnx.proto (IR versions 3 to 13), as far as they are needed for cutting a model. */

export const MODEL = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8, functions: 25 } as const;
export const GRAPH = {
  node: 1,
  name: 2,
  initializer: 5,
  input: 11,
  output: 12,
  valueInfo: 13,
  sparseInitializer: 15,
} as const;
export const NODE = {
  input: 1,
  output: 2,
  name: 3,
  opType: 4,
  attribute: 5,
  domain: 7,
  overload: 8,
  metadata: 9,
} as const;
export const ATTRIBUTE = {
  name: 1,
  i: 3,
  tensor: 5,
  graph: 6,
  ints: 8,
  tensors: 10,
  graphs: 11,
  type: 20,
  sparseTensor: 22,
  sparseTensors: 23,
} as const;
export const FUNCTION = { name: 1, input: 4, output: 5, node: 7, domain: 10, overload: 13 } as const;
export const TENSOR = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;
export const SPARSE = { values: 1, indices: 2, dims: 3 } as const;
/** StringStringEntryProto: external data entries and metadata. */
export const ENTRY = { key: 1, value: 2 } as const;
export const VALUE_INFO = { name: 1, type: 2 } as const;
export const TYPE = { tensor: 1, sequence: 4, map: 5, opaque: 7, sparseTensor: 8, optional: 9 } as const;
export const TENSOR_TYPE = { elemType: 1, shape: 2 } as const;
export const SHAPE = { dim: 1 } as const;
export const DIMENSION = { value: 1, param: 2 } as const;
/** TensorProto.DataLocation.EXTERNAL. */
export const EXTERNAL = 1;
/** AttributeProto.AttributeType.INTS. */
export const INTS = 7;

interface Element {
  readonly name: string;
  /** Bits of one element; 0 if elements have no fixed size. */
  readonly bits: number;
}

/** TensorProto.DataType: the index is its number. Names that tandem knows as a dtype are that dtype. */
const ELEMENTS: readonly Element[] = [
  { name: 'undefined', bits: 0 },
  { name: 'float32', bits: 32 },
  { name: 'uint8', bits: 8 },
  { name: 'int8', bits: 8 },
  { name: 'uint16', bits: 16 },
  { name: 'int16', bits: 16 },
  { name: 'int32', bits: 32 },
  { name: 'int64', bits: 64 },
  { name: 'string', bits: 0 },
  { name: 'bool', bits: 8 },
  { name: 'float16', bits: 16 },
  { name: 'float64', bits: 64 },
  { name: 'uint32', bits: 32 },
  { name: 'uint64', bits: 64 },
  { name: 'complex64', bits: 64 },
  { name: 'complex128', bits: 128 },
  { name: 'bfloat16', bits: 16 },
  { name: 'float8e4m3fn', bits: 8 },
  { name: 'float8e4m3fnuz', bits: 8 },
  { name: 'float8e5m2', bits: 8 },
  { name: 'float8e5m2fnuz', bits: 8 },
  { name: 'uint4', bits: 4 },
  { name: 'int4', bits: 4 },
  { name: 'float4e2m1', bits: 4 },
  { name: 'float8e8m0', bits: 8 },
  { name: 'uint2', bits: 2 },
  { name: 'int2', bits: 2 },
];

/** The element type with number `id`, or undefined if onnx.proto has none. */
export function elementOf(id: number): Element | undefined {
  return id === 0 ? undefined : ELEMENTS[id];
}

/** The number of an element type by name; 0 for an unknown one. */
export function elementId(name: string): number {
  return Math.max(
    0,
    ELEMENTS.findIndex((element) => element.name === name),
  );
}
