/** NumPy's element types: their names in a header, and which of them can be converted to which element type of a model. */
import type { DType } from '../../tensor.js';

/** A parsed `descr` such as `<f4` or `>i8`. */
export interface NpyDType {
  readonly dtype: DType;
  /** Whether the most significant byte of each element comes first. */
  readonly bigEndian: boolean;
}

/** NumPy has no bfloat16. */
const CODE_OF: Readonly<Record<Exclude<DType, 'bfloat16'>, string>> = {
  bool: '|b1',
  int8: '|i1',
  uint8: '|u1',
  int16: '<i2',
  uint16: '<u2',
  int32: '<i4',
  uint32: '<u4',
  int64: '<i8',
  uint64: '<u8',
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
};

const DTYPE_OF: ReadonlyMap<string, DType> = new Map(
  Object.entries(CODE_OF).map(([dtype, code]) => [code.slice(1), dtype as DType]),
);

/** Descriptions of the element kinds that are refused. */
const REFUSED_KINDS: Readonly<Record<string, string>> = {
  O: 'Python objects (pickled: never read)',
  V: 'structured or raw records',
  S: 'byte strings',
  a: 'byte strings',
  U: 'strings',
  c: 'complex numbers',
  M: 'dates',
  m: 'time spans',
};

/** The little-endian `descr` that NumPy writes for `dtype`, or `null` if NumPy does not have the type. */
export function descrOf(dtype: DType): string | null {
  return dtype === 'bfloat16' ? null : CODE_OF[dtype];
}

export function parseDescr(descr: string): NpyDType | null {
  const match = /^([<>=|])(\w+)$/.exec(descr);
  const dtype = DTYPE_OF.get(match?.[2] ?? '');
  return match && dtype ? { dtype, bigEndian: match[1] === '>' } : null;
}

/** Describes a `descr` that `parseDescr` does not accept. */
export function describeDescr(descr: string): string {
  if (/V2$/.test(descr)) return `holds records of two bytes, dtype ${descr}, as bfloat16 is saved`;
  const kind = REFUSED_KINDS[/^[<>=|]?([A-Za-z])/.exec(descr)?.[1] ?? ''];
  return kind ? `holds ${kind}, dtype ${descr}` : `has the dtype ${descr}, which no model takes`;
}

/** The other types that rows may have in a file, by the type of the model's input. */
const ACCEPTED: Partial<Record<DType, readonly DType[]>> = {
  int16: ['int8', 'uint8'],
  uint16: ['uint8'],
  // NumPy converts Python integers to int64 and floats to float64. Both are accepted; each integer's range is checked.
  int32: ['int8', 'uint8', 'int16', 'uint16', 'int64'],
  uint32: ['uint8', 'uint16'],
  int64: ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'],
  uint64: ['uint8', 'uint16', 'uint32'],
  // Every integer of these types is a float of that type, exactly.
  float32: ['float16', 'bfloat16', 'float64', 'int8', 'uint8', 'int16', 'uint16'],
  float64: ['float16', 'float32', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'],
};

/** Whether rows of type `from` in a file can feed an input of type `to`. The only accepted loss is rounding float64 to float32. */
export function isAccepted(from: DType, to: DType): boolean {
  return from === to || (ACCEPTED[to]?.includes(from) ?? false);
}

/** The name of the type in Python: `np.float32`. */
export function numpyName(dtype: DType): string | null {
  if (dtype === 'bfloat16') return null;
  return dtype === 'bool' ? 'np.bool_' : `np.${dtype}`;
}
