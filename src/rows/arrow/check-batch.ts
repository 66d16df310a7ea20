/** Holds a batch to the sizes that it claims: the library believes a damaged file, and would make lists of billions of values of it. */
import type { Data, DataType, RecordBatch } from 'apache-arrow';
import type { Arrow } from './arrow-library.js';

/** Throws Error. */
export function checkBatch({ DataType: is }: Arrow, batch: RecordBatch): void {
  const check = (data: Data<DataType>): void => {
    const { type, length } = data;
    if (!Number.isSafeInteger(length) || length < 0) throw new Error(`a column claims ${length} values`);
    if (data.nullBitmap?.length > 0 && data.nullBitmap.length * 8 < length) throw tooShort(type);
    if (is.isNull(type)) return;
    if (is.isStruct(type)) for (const child of data.children) if (child.length < length) throw tooShort(type);
    if (is.isFixedSizeList(type) && data.children[0]!.length < length * type.listSize) throw tooShort(type);
    if (is.isList(type) || is.isLargeList(type) || is.isMap(type)) checkOffsets(data, data.children[0]!.length);
    else if (is.isUtf8(type) || is.isLargeUtf8(type) || is.isBinary(type) || is.isLargeBinary(type))
      checkOffsets(data, data.values.length);
    else if (is.isBool(type)) {
      if (data.values.length * 8 < length) throw tooShort(type);
    } else if (is.isFixedSizeBinary(type) && data.values.length < length * type.byteWidth) throw tooShort(type);
    else if ((is.isInt(type) || is.isFloat(type)) && data.values.length < length) throw tooShort(type);
    else if (data.values && data.stride > 0 && data.values.length < length * data.stride) throw tooShort(type);
    if (is.isDictionary(type)) checkIndices(data);
    for (const child of data.children) check(child);
  };
  for (const child of batch.data.children) {
    if (child.length < batch.numRows) throw new Error(`a column has ${child.length} of ${batch.numRows} values`);
    check(child);
  }
}

/** Each value ends where the next begins, and the last ends inside what there is. */
function checkOffsets({ type, length, valueOffsets }: Data<DataType>, end: number): void {
  if (valueOffsets.length < length + 1) throw tooShort(type);
  let before = 0;
  for (let n = 0; n <= length; n++) {
    const offset = Number(valueOffsets[n]);
    if (offset < before || offset > end) throw new Error(`a ${type} column has values outside of it`);
    before = offset;
  }
}

function checkIndices({ type, length, values, dictionary }: Data<DataType>): void {
  if (values.length < length) throw tooShort(type);
  const size = dictionary?.length ?? 0;
  // Of a null the index means nothing.
  for (let n = 0; n < length; n++) if (values[n] < 0 || values[n] > Math.max(size - 1, 0)) throw tooShort(type);
}

function tooShort(type: DataType): Error {
  return new Error(`a ${type} column has fewer values than it claims`);
}
