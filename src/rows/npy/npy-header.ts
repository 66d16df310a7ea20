/**
 * Reads and writes the header of an NPY file: magic, version, length, then a Python dict padded with spaces and a newline.
 * Source: NumPy's format specification, numpy/lib/format.py (versions 1.0, 2.0 and 3.0).
 */
import { TandemError } from '../../errors.js';
import type { DType } from '../../tensor.js';
import type { ByteReader } from '../byte-reader.js';
import { refuseOtherKinds } from '../file-kind.js';
import type { ArrayLocation } from './array-location.js';
import { describeDescr, descrOf, type NpyDType, parseDescr } from './npy-dtype.js';
import { type HeaderValue, parseHeader } from './python-literal.js';

export interface NpyHeader extends NpyDType {
  /** The first dimension is the number of rows. */
  readonly shape: readonly number[];
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** Longest header in bytes that NumPy reads from an untrusted file (`max_header_size`). */
const MAX_HEADER = 10_000;
/** A multiple of the 64 that NumPy aligns data to. */
const ALIGNMENT = 128;

/**
 * Reads the header at the start of `bytes` and leaves `bytes` at the first row.
 * Throws TANDEM_INPUT_INVALID if it is not NPY, and for Fortran order, Python objects and records. Nothing is ever unpickled.
 */
export async function readNpyHeader(bytes: ByteReader, location: ArrayLocation): Promise<NpyHeader> {
  const where = location.label;
  const text = await readHeaderText(bytes, where);
  const fields = parseFields(text, where);
  const descr = fields.get('descr');
  const type = typeof descr === 'string' ? parseDescr(descr) : null;
  if (type === null) {
    const what = typeof descr === 'string' ? describeDescr(descr) : 'holds structured records';
    const isBfloat16 = typeof descr === 'string' && /V2$/.test(descr);
    throw invalid(
      `${where} ${what}`,
      isBfloat16
        ? `if it is bfloat16, with import ml_dtypes, ${location.fix((array) => `${array}.view(ml_dtypes.bfloat16).astype(np.float32)`)}`
        : 'save one plain array of numbers for each input',
    );
  }
  if (fields.get('fortran_order') === true) {
    throw invalid(
      `${where} is in Fortran order: its rows are not contiguous in the file`,
      location.fix((array) => `np.ascontiguousarray(${array})`),
    );
  }
  return { ...type, shape: parseShape(fields.get('shape'), where) };
}

async function readHeaderText(bytes: ByteReader, where: string): Promise<string> {
  const start = await take(bytes, 8, where);
  if (!start.subarray(0, 6).equals(MAGIC)) {
    refuseOtherKinds(start, where, 'npy');
    throw invalid(`${where} is not an NPY array`, 'write it with np.save(FILE, array)');
  }
  const major = start[6]!;
  if (major < 1 || major > 3) {
    throw invalid(
      `${where} has NPY version ${major}.${start[7]}`,
      'save it again with a NumPy that writes version 1, 2 or 3',
    );
  }
  const length =
    major === 1 ? (await take(bytes, 2, where)).readUInt16LE() : (await take(bytes, 4, where)).readUInt32LE();
  if (length > MAX_HEADER) {
    throw invalid(
      `${where} has a header of ${length} bytes; the limit is ${MAX_HEADER}`,
      'save one plain array of numbers for each input',
    );
  }
  return (await take(bytes, length, where)).toString(major === 3 ? 'utf8' : 'latin1');
}

/** The next `count` bytes. A file that ends inside its header is not NPY. */
async function take(bytes: ByteReader, count: number, where: string): Promise<Buffer> {
  const buffer = Buffer.alloc(count);
  if (bytes.left !== null && bytes.left < count) {
    throw invalid(`${where} ends inside its header`, 'write it again with np.save(FILE, array), or copy it again');
  }
  await bytes.read(buffer);
  return buffer;
}

function parseFields(text: string, where: string): ReadonlyMap<string, HeaderValue> {
  try {
    const fields = parseHeader(text);
    if ([...fields.keys()].sort().join() === 'descr,fortran_order,shape') return fields;
    throw new SyntaxError('it must hold descr, fortran_order and shape');
  } catch (cause) {
    throw invalid(
      `${where} has a damaged header: ${(cause as Error).message}`,
      'write it again with np.save(FILE, array)',
    );
  }
}

function parseShape(shape: HeaderValue | undefined, where: string): number[] {
  if (Array.isArray(shape)) return shape;
  throw invalid(
    `${where} has a damaged header: its shape is not a tuple of sizes`,
    'write it again with np.save(FILE, array)',
  );
}

function invalid(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', message, { remedy });
}

/**
 * A version 1.0 header for an array of (rows, ...rowShape). Its length does not depend on `rows`, so that the final count
 * can be written after the last row. Throws TANDEM_OUTPUT_UNSUPPORTED for a type that NumPy does not have.
 */
export function npyHeader(dtype: DType, rowShape: readonly number[], rows: number): Buffer {
  const descr = descrOf(dtype);
  if (descr === null) {
    throw new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `NumPy has no ${dtype}`, {
      remedy: 'write JSON lines instead: name the output .jsonl',
    });
  }
  const literal = (count: number) => {
    const shape = [count, ...rowShape].join(', ') + (rowShape.length === 0 ? ',' : '');
    return `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  };
  const prefix = MAGIC.length + 4;
  const longest = prefix + literal(Number.MAX_SAFE_INTEGER).length + 1;
  const header = Buffer.alloc(Math.ceil(longest / ALIGNMENT) * ALIGNMENT, ' ');
  MAGIC.copy(header);
  header.set([1, 0], MAGIC.length);
  header.writeUInt16LE(header.length - prefix, MAGIC.length + 2);
  header.write(literal(rows), prefix, 'latin1');
  header.write('\n', header.length - 1);
  return header;
}
