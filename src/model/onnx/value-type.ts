/** The type of a value of an ONNX graph: a tensor with an element type and maybe a shape, or a kind that no slot can hold. */
import type { ByteRange, FileBytes } from './file-bytes.js';
import { DIMENSION, elementOf, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from './schema.js';
import { expectBytes, fieldsOf, invalid, textOf } from './wire.js';
import type { WireWriter } from './wire-writer.js';

/** A dimension: a number, a name that depends on the rows, or `null` if unknown. */
export type Dimension = number | string | null;

export interface ValueType {
  /** `tensor`, or the kind that cannot cross a cut: `sequence`, `map`, `optional`, `sparse`, `opaque`. */
  readonly kind: string;
  /** Element type's name, '' if unknown. */
  readonly element: string;
  /** `null` if not even the rank is known. */
  readonly shape: readonly Dimension[] | null;
}

export interface ValueInfo {
  readonly name: string;
  /** `null` if the model does not declare it. */
  readonly type: ValueType | null;
}

const KIND_OF: Record<number, string> = {
  [TYPE.tensor]: 'tensor',
  [TYPE.sequence]: 'sequence',
  [TYPE.map]: 'map',
  [TYPE.opaque]: 'opaque',
  [TYPE.sparseTensor]: 'sparse',
  [TYPE.optional]: 'optional',
};

/** Reads a ValueInfoProto. */
export function readValueInfo(file: FileBytes, range: ByteRange): ValueInfo {
  let name = '';
  let type: ValueType | null = null;
  for (const field of fieldsOf(file, range)) {
    if (field.number === VALUE_INFO.name) name = textOf(file, field);
    if (field.number === VALUE_INFO.type) {
      expectBytes(file, field);
      type = readType(file, field);
    }
  }
  return { name, type };
}

function readType(file: FileBytes, range: ByteRange): ValueType | null {
  let type: ValueType | null = null;
  for (const field of fieldsOf(file, range)) {
    const kind = KIND_OF[field.number];
    if (!kind) continue;
    expectBytes(file, field);
    type = kind === 'tensor' ? readTensorType(file, field) : { kind, element: '', shape: null };
  }
  return type;
}

function readTensorType(file: FileBytes, range: ByteRange): ValueType {
  let element = '';
  let shape: Dimension[] | null = null;
  for (const field of fieldsOf(file, range)) {
    if (field.number === TENSOR_TYPE.elemType) element = elementOf(field.value)?.name ?? '';
    if (field.number === TENSOR_TYPE.shape) {
      expectBytes(file, field);
      shape = [];
      for (const dim of fieldsOf(file, field)) {
        if (dim.number !== SHAPE.dim) continue;
        expectBytes(file, dim);
        shape.push(readDimension(file, dim));
      }
    }
  }
  return { kind: 'tensor', element, shape };
}

function readDimension(file: FileBytes, range: ByteRange): Dimension {
  let dimension: Dimension = null;
  for (const field of fieldsOf(file, range)) {
    if (field.number === DIMENSION.param) dimension = textOf(file, field) || null;
    if (field.number !== DIMENSION.value) continue;
    // Some exporters write -1 for "any".
    if (field.value > Number.MAX_SAFE_INTEGER)
      throw invalid(file, `a dimension of ${field.value} at byte ${field.start}`);
    dimension = field.value < 0 ? null : field.value;
  }
  return dimension;
}

/** Writes a ValueInfoProto of a tensor as the body of `message`. `element` is TensorProto.DataType. */
export function writeValueInfo(message: WireWriter, name: string, element: number, shape: ValueType['shape']): void {
  message.text(VALUE_INFO.name, name);
  if (element === 0) return;
  message.message(VALUE_INFO.type, (type) =>
    type.message(TYPE.tensor, (tensor) => {
      tensor.integer(TENSOR_TYPE.elemType, element);
      if (!shape) return;
      tensor.message(TENSOR_TYPE.shape, (dims) => {
        for (const dim of shape) {
          dims.message(SHAPE.dim, (d) => {
            if (typeof dim === 'number') d.integer(DIMENSION.value, dim);
            if (typeof dim === 'string') d.text(DIMENSION.param, dim);
          });
        }
      });
    }),
  );
}
