/**
 * The header of an NPY file: magic, version, length, then a Python dict padded with spaces to a line end.
 * Source: NumPy's format specification, numpy/lib/format.py (versions 1.0, 2.0 and 3.0).
 */
import { TandemError } from '../../errors.js';
import type { DType } from '../../tensor.js';
import type { ArrayPlace } from './array-place.js';
import type { ByteReader } from './byte-reader.js';
import { describeDescr, descrOf, type NpyDType, parseDescr } from './npy-dtype.js';
import { type PythonLiteral, parsePythonLiteral } from './python-literal.js';

export interface NpyHeader extends NpyDType {
  /** Rows first. */
  readonly shape: readonly number[];
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** NumPy reads no longer header from a file that it does not trust (`max_header_size`). */
const MAX_HEADER = 10_000;
/** A multiple of the 64 that NumPy aligns data to. */
const ALIGNMENT = 128;

/**
 * The header at the start of `bytes`, which are left at the first row.
 * Throws TANDEM_INPUT_INVALID for what is no NPY, for Fortran order, Python objects and records; nothing is ever unpickled.
 */
export async function readNpyHeader(bytes: ByteReader, place: ArrayPlace): Promise<NpyHeader> {
  const where = place.label;
  const text = await readHeaderText(bytes, where);
  const fields = parseFields(text, where);
  const descr = fields.get('descr');
  const type = typeof descr === 'string' ? parseDescr(descr) : null;
  if (type === null) {
    const what = typeof descr === 'string' ? describeDescr(descr) : 'holds structured records';
    throw invalid(`${where} ${what}`, 'save one plain array of numbers for each input');
  }
  if (fields.get('fortran_order') === true) {
    throw invalid(
      `${where} lies in Fortran order: its rows are not together in the file`,
      place.fix((array) => `np.ascontiguousarray(${array})`),
    );
  }
  return { ...type, shape: parseShape(fields.get('shape'), where) };
}

async function readHeaderText(bytes: ByteReader, where: string): Promise<string> {
  const start = await take(bytes, 8, where);
  if (!start.subarray(0, 6).equals(MAGIC)) {
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
      `${where} has a header of ${length} bytes, and more than ${MAX_HEADER} are not trusted`,
      'save one plain array of numbers for each input',
    );
  }
  return (await take(bytes, length, where)).toString(major === 3 ? 'utf8' : 'latin1');
}

/** The next `count` bytes; a file that ends in its header is no NPY. */
async function take(bytes: ByteReader, count: number, where: string): Promise<Buffer> {
  const buffer = Buffer.alloc(count);
  if (bytes.left !== null && bytes.left < count) {
    throw invalid(`${where} ends inside its header`, 'write it again with np.save(FILE, array), or copy it whole');
  }
  await bytes.read(buffer);
  return buffer;
}

function parseFields(text: string, where: string): ReadonlyMap<string, PythonLiteral> {
  try {
    const fields = parsePythonLiteral(text);
    if (fields instanceof Map && [...fields.keys()].sort().join() === 'descr,fortran_order,shape') return fields;
    throw new SyntaxError('it must hold descr, fortran_order and shape');
  } catch (cause) {
    throw invalid(
      `${where} has a damaged header: ${(cause as Error).message}`,
      'write it again with np.save(FILE, array)',
    );
  }
}

function parseShape(shape: PythonLiteral | undefined, where: string): number[] {
  const isDim = (dim: PythonLiteral): dim is number => typeof dim === 'number' && dim >= 0;
  if (Array.isArray(shape) && shape.every(isDim)) return shape;
  throw invalid(
    `${where} has a damaged header: its shape is no tuple of sizes`,
    'write it again with np.save(FILE, array)',
  );
}

function invalid(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', message, { remedy });
}

/**
 * A version 1.0 header for an array of (rows, ...rowShape). Its length does not depend on `rows`, so that the real count
 * can be put in when all rows are there. Throws TANDEM_OUTPUT_UNSUPPORTED for a type that NumPy does not have.
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
