/** Reads the TensorProto files of ONNX's backend suite as values. */
import { FileBytes } from '../../src/model/onnx/file-bytes.js';
import { elementOf, TENSOR } from '../../src/model/onnx/schema.js';
import { BYTES, fieldsOf, integersOf, textOf } from '../../src/model/onnx/wire.js';
import { allocate, bytesOf, isDType, type TypedArray } from '../../src/tensor.js';

export interface Values {
  readonly name: string;
  /** A tandem dtype, `string`, or another ONNX element type, of which `data` is then empty. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: TypedArray | string[];
}

export function readValues(path: string): Values {
  using file = new FileBytes(path);
  let name = '';
  let element = 0;
  const shape: number[] = [];
  const raw: Uint8Array[] = [];
  const texts: string[] = [];
  const integers: number[] = [];
  for (const field of fieldsOf(file, file.whole)) {
    if (field.number === TENSOR.name) name = textOf(file, field);
    else if (field.number === TENSOR.dataType) element = field.value;
    else if (field.number === TENSOR.dims) shape.push(...integersOf(file, field));
    else if (field.number === TENSOR.stringData) texts.push(textOf(file, field));
    else if (field.number === TENSOR.rawData || field.number === TENSOR.floatData || field.number === TENSOR.doubleData)
      raw.push(file.copy(field));
    else if (
      field.number === TENSOR.int32Data ||
      field.number === TENSOR.int64Data ||
      field.number === TENSOR.uint64Data
    )
      integers.push(...integersOf(file, field));
    else if (field.wire === BYTES && field.number === TENSOR.externalData) throw new Error(`${path} has external data`);
  }
  const dtype = elementOf(element)?.name ?? '';
  if (dtype === 'string') return { name, dtype, shape, data: texts };
  if (!isDType(dtype)) return { name, dtype, shape, data: [] };
  const data = allocate(dtype, shape);
  const plain = Buffer.concat(raw);
  if (plain.length > 0) bytesOf(data).set(plain);
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.set(integers.map(BigInt));
  else data.set(integers);
  return { name, dtype, shape, data };
}
