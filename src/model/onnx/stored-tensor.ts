/** A stored tensor: its type, shape and byte range; the bytes stay on disk. */
import { TandemError } from '../../errors.js';
import { elementCount } from '../../tensor.js';
import { type ExternalData, readEntry } from './external-data.js';
import type { ByteRange, FileBytes } from './file-bytes.js';
import { EXTERNAL, elementOf, SPARSE, TENSOR } from './schema.js';
import { BYTES, expectBytes, type Field, fieldsOf, integersOf, invalid, textOf } from './wire.js';

/** The place of the values: raw bytes in a file, or inside a protobuf message of the model. */
export type Storage =
  | { readonly kind: 'bytes'; readonly file: string; readonly from: number }
  | { readonly kind: 'message'; readonly message: ByteRange }
  | { readonly kind: 'sparse'; readonly message: ByteRange };

export interface StoredTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly element: number;
  readonly dims: readonly number[];
  /** Bytes of the values on disk; of a sparse tensor, bytes of the dense one. */
  readonly bytes: number;
  readonly storage: Storage;
}

/** Whether the values are in another file than the model's. */
export function isOutside({ storage }: StoredTensor, external: ExternalData): boolean {
  return storage.kind === 'bytes' && storage.file !== external.model;
}

/** TensorProto, before its external data is looked up. */
interface Head {
  name: string;
  element: number;
  dims: number[];
  /** raw_data, or the one packed field with the same layout as in memory. */
  plain: ByteRange | null;
  /** Bytes in typed fields, and how many such fields there are. */
  typed: number;
  chunks: number;
  external: boolean;
  entries: Map<string, string>;
}

/** Dimensions at most. */
const MAX_DIMS = 64;
/** Smaller values are copied into the slice's message. */
const INLINE_BYTES = 1024;
/** Typed fields: each holds its elements in at least one byte. */
const TYPED = new Set<number>([
  TENSOR.floatData,
  TENSOR.int32Data,
  TENSOR.stringData,
  TENSOR.int64Data,
  TENSOR.doubleData,
  TENSOR.uint64Data,
]);

/** Reads a TensorProto. Throws TANDEM_MODEL_INVALID, TANDEM_WEIGHTS_MISSING, TANDEM_WEIGHTS_SHORT, TANDEM_WEIGHTS_ESCAPE. */
export function readTensor(file: FileBytes, message: ByteRange, external: ExternalData): StoredTensor {
  const head = readHead(file, message);
  const { name, dims } = head;
  const element = elementOf(head.element);
  if (!element) throw invalid(file, `weight "${name}" has element type ${head.element}, which ONNX does not know`);
  const count = countOf(file, name, dims);
  const expected = Math.ceil((count * element.bits) / 8);
  const tensor = { name, element: head.element, dims };
  if (head.external) {
    if (element.bits === 0) throw invalid(file, `weight "${name}" keeps strings in external data`);
    const { path, offset } = external.locate(name, head.entries, expected);
    return { ...tensor, bytes: expected, storage: { kind: 'bytes', file: path, from: offset } };
  }
  if (head.plain && element.bits > 0) {
    checkLength(file, head, expected);
    if (expected >= INLINE_BYTES) {
      return { ...tensor, bytes: expected, storage: { kind: 'bytes', file: external.model, from: head.plain.from } };
    }
  } else if (element.bits > 0 && count > head.typed * (element.bits < 8 ? 8 / element.bits : 1)) {
    throw new TandemError(
      'TANDEM_WEIGHTS_SHORT',
      `${file.path}: weight "${name}" is declared as [${dims.join(', ')}] but has ${head.typed} bytes`,
      { remedy: 'the file is damaged; export or download it again' },
    );
  }
  return { ...tensor, bytes: element.bits > 0 ? expected : head.typed, storage: { kind: 'message', message } };
}

/** Reads a SparseTensorProto, which is copied unchanged; its name is that of its values. */
export function readSparseTensor(file: FileBytes, message: ByteRange): StoredTensor {
  let values: Head | undefined;
  const dims: number[] = [];
  for (const field of fieldsOf(file, message)) {
    if (field.number === SPARSE.dims) addDims(file, field, dims);
    if (field.number !== SPARSE.values && field.number !== SPARSE.indices) continue;
    const part = readHead(file, field);
    if (part.external) throw invalid(file, `the sparse weight "${part.name}" has external data`);
    if (field.number === SPARSE.values) values = part;
  }
  if (!values) throw invalid(file, 'a sparse weight without values');
  const { name, element } = values;
  const bytes = Math.ceil((countOf(file, name, dims) * (elementOf(element)?.bits ?? 0)) / 8);
  return { name, element, dims, bytes, storage: { kind: 'sparse', message } };
}

function readHead(file: FileBytes, message: ByteRange): Head {
  const head: Head = {
    name: '',
    element: 0,
    dims: [],
    plain: null,
    typed: 0,
    chunks: 0,
    external: false,
    entries: new Map(),
  };
  for (const field of fieldsOf(file, message)) {
    if (field.number === TENSOR.dims) addDims(file, field, head.dims);
    else if (field.number === TENSOR.dataType) head.element = field.value;
    else if (field.number === TENSOR.name) head.name = textOf(file, field);
    else if (field.number === TENSOR.dataLocation) head.external = field.value === EXTERNAL;
    else if (field.number === TENSOR.externalData) readEntry(file, field, head.entries);
    else if (field.number === TENSOR.segment) throw invalid(file, `weight "${head.name}" is stored in segments`);
    else if (field.number === TENSOR.rawData) {
      expectBytes(file, field);
      head.plain = field;
    } else if (TYPED.has(field.number)) {
      head.typed += Math.max(1, field.to - field.from);
      head.chunks++;
      const plain = field.number === TENSOR.floatData || field.number === TENSOR.doubleData;
      if (plain && field.wire === BYTES) head.plain = field;
    }
  }
  // Numbers in several fields are not contiguous.
  if (head.chunks > 1) head.plain = null;
  return head;
}

function addDims(file: FileBytes, field: Field, dims: number[]): void {
  if (dims.length + field.to - field.from > MAX_DIMS * 10) throw invalid(file, 'a tensor of too many dimensions');
  for (const dim of integersOf(file, field)) dims.push(dim);
}

function countOf(file: FileBytes, name: string, dims: readonly number[]): number {
  if (dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) {
    throw invalid(file, `weight "${name}" has shape [${dims.join(', ')}]`);
  }
  return elementCount(dims);
}

function checkLength(file: FileBytes, { name, dims, plain }: Head, expected: number): void {
  const length = plain!.to - plain!.from;
  if (length === expected) return;
  throw new TandemError(
    length < expected ? 'TANDEM_WEIGHTS_SHORT' : 'TANDEM_MODEL_INVALID',
    `${file.path}: weight "${name}" is declared as [${dims.join(', ')}], that is ${expected} bytes, but has ${length}`,
    { remedy: 'the file is damaged; export or download it again' },
  );
}
