/**
 * Reads and writes the header of a safetensors file: 8 bytes with its length, then JSON that gives each tensor's type, shape and place in the data.
 * Source: the README of github.com/huggingface/safetensors, and its Rust crate, whose checks these are.
 */
import { z } from 'zod';
import type { DType } from '../../tensor.js';

/** Bytes before the JSON. */
export const PREFIX_BYTES = 8;
/** Longest JSON in bytes. The Rust crate takes 100 MB; a file of rows has a few tensors. */
export const MAX_HEADER_BYTES = 16 << 20;
/** The data begins at a multiple of this, as an array in memory would. */
const ALIGNMENT = 64;
/** The member of the JSON that is no tensor. */
export const METADATA = '__metadata__';

const CODE_OF: Readonly<Record<DType, string>> = {
  bool: 'BOOL',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
  uint32: 'U32',
  int64: 'I64',
  uint64: 'U64',
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
  float64: 'F64',
};
const DTYPE_OF: ReadonlyMap<string, DType> = new Map(
  Object.entries(CODE_OF).map(([dtype, code]) => [code, dtype as DType]),
);
/** Bits of an element. Types that no model here takes are measured too, so that the file can be checked. */
const BITS: Readonly<Record<string, number>> = {
  ...{ BOOL: 8, I8: 8, U8: 8, I16: 16, U16: 16, I32: 32, U32: 32, I64: 64, U64: 64 },
  ...{ F16: 16, BF16: 16, F32: 32, F64: 64, C64: 64 },
  ...{ F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E5M2FNUZ: 8, F8_E4M3FNUZ: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4 },
};

/** A tensor of a file. */
export interface StoredTensor {
  /** As the file names its type. */
  readonly code: string;
  /** `null` for a type that no model takes, such as 8-bit floats. */
  readonly dtype: DType | null;
  readonly shape: readonly number[];
  /** Its bytes, counted from the end of the header. */
  readonly from: number;
  readonly to: number;
}

const ENTRY = z.object({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

/** The length of the JSON, of a file of `fileBytes`. Throws Error. */
export function headerLength(prefix: Buffer, fileBytes: number): number {
  if (prefix.length < PREFIX_BYTES) throw new Error('it is too short');
  const length = prefix.readBigUInt64LE();
  if (length > BigInt(fileBytes - PREFIX_BYTES)) {
    throw new Error(`it claims a header of ${length} bytes and has ${fileBytes} bytes in all: it was cut short`);
  }
  if (length > MAX_HEADER_BYTES) {
    throw new Error(`it claims a header of ${length} bytes; the limit is ${MAX_HEADER_BYTES}`);
  }
  return Number(length);
}

/** The tensors by name, which lie one after another in all `dataBytes` after the header. Throws Error. */
export function parseHeader(json: Buffer, dataBytes: number): Map<string, StoredTensor> {
  const entries = entriesOf(json).filter(([name]) => name !== METADATA);
  const found = entries.map(([name, entry]) => [name, tensorOf(name, entry)] as const);
  let end = 0;
  for (const [name, { from, to }] of [...found].sort(([, a], [, b]) => a.from - b.from || a.to - b.to)) {
    if (from !== end) throw new Error(`tensor "${name}" begins at byte ${from} of the data, and byte ${end} is next`);
    end = to;
  }
  if (end > dataBytes) throw new Error(`its tensors need ${end} bytes and it has ${dataBytes}: it was cut short`);
  if (end < dataBytes) throw new Error(`${dataBytes - end} bytes follow its last tensor`);
  return new Map(found);
}

function entriesOf(json: Buffer): [string, unknown][] {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(json);
  if (!text.startsWith('{')) throw new Error('its header does not begin with {');
  return Object.entries(JSON.parse(text));
}

function tensorOf(name: string, entry: unknown): StoredTensor {
  const checked = ENTRY.safeParse(entry);
  if (!checked.success) throw new Error(`the header's entry of tensor "${name}" is not that of a tensor`);
  const {
    dtype: code,
    shape,
    data_offsets: [from, to],
  } = checked.data;
  const bits = BITS[code];
  if (bits === undefined) throw new Error(`tensor "${name}" has the type ${code}, which is not known`);
  const bytes = shape.reduce((count, dim) => count * dim, bits) / 8;
  if (!Number.isSafeInteger(bytes * 8) || to - from !== bytes) {
    throw new Error(`tensor "${name}" is ${code} [${shape.join(', ')}] and lies in ${to - from} bytes`);
  }
  return { code, dtype: DTYPE_OF.get(code) ?? null, shape, from, to };
}

/** A tensor to be written. */
export interface WrittenTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly rowShape: readonly number[];
  readonly bytes: number;
}

/**
 * The header of tensors that have `rows` rows each and lie one after another. Its length is that for any number of rows of `all`, of which
 * `tensors` are the first, so that it can be written before the rows and again after them.
 */
export function headerOf(tensors: readonly WrittenTensor[], rows: number, all: readonly WrittenTensor[]): Buffer {
  const longest = Number.MAX_SAFE_INTEGER;
  const most = jsonOf(all.map((tensor) => ({ ...tensor, rows: longest, from: longest, to: longest })));
  const whole = Math.ceil((PREFIX_BYTES + Buffer.byteLength(most)) / ALIGNMENT) * ALIGNMENT;
  let end = 0;
  const placed = tensors.map((tensor) => {
    const from = end;
    end += tensor.bytes;
    return { ...tensor, rows, from, to: end };
  });
  const header = Buffer.alloc(whole, ' ');
  header.writeBigUInt64LE(BigInt(whole - PREFIX_BYTES));
  header.write(jsonOf(placed), PREFIX_BYTES);
  return header;
}

type Placed = Omit<WrittenTensor, 'bytes'> & { readonly rows: number; readonly from: number; readonly to: number };

function jsonOf(tensors: readonly Placed[]): string {
  const members = tensors.map(({ name, dtype, rows, rowShape, from, to }) => {
    const entry = { dtype: CODE_OF[dtype], shape: [rows, ...rowShape], data_offsets: [from, to] };
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  return `{${members.join(',')}}`;
}
