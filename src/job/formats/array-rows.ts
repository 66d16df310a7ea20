/** One output as an array that grows by rows: the first micro-batch says what it is, and every later one must agree. */
import { TandemError } from '../../errors.js';
import { allocate, byteCount, bytesOf, type DType, formatSpec, type Tensor, type TypedArray } from '../../tensor.js';
import { FLOAT16, toWord } from './mini-float.js';
import { npyHeader } from './npy-header.js';
import { type ByteWriter, checkRowsAxis, type RowRun } from './rows-writer.js';

/** What an array is, but for how many rows it has. Plain data. */
export interface ArraySpec {
  readonly name: string;
  readonly dtype: DType;
  readonly rowShape: readonly number[];
}

/** The array that an output's first tensor begins. */
export function arrayOf(name: string, { dtype, shape }: Tensor): ArraySpec {
  return { name, dtype, rowShape: shape.slice(1) };
}

export class ArrayRows {
  readonly spec: ArraySpec;
  /** The bytes of one failed row, made when the first row fails. */
  #filler: Uint8Array | null = null;

  /** Throws TANDEM_OUTPUT_UNSUPPORTED for a type that NumPy does not have. */
  constructor(spec: ArraySpec) {
    this.spec = spec;
    this.header(0);
  }

  /** The NPY header for `rows` rows: as many bytes for any count. */
  header(rows: number): Buffer {
    return npyHeader(this.spec.dtype, this.spec.rowShape, rows);
  }

  /** Append the rows of `tensor`; failed ones keep their place, as NaN where the type has it, else as zeros. */
  async write(tensor: Tensor, rows: number, runs: readonly RowRun[], out: ByteWriter): Promise<void> {
    checkRowsAxis(this.spec.name, tensor, rows);
    this.#checkSame(tensor);
    const bytes = bytesOf(tensor.data);
    for (const { from, to, failed } of runs) {
      if (!failed) await out.write(bytes.subarray(from * this.#rowBytes, to * this.#rowBytes));
      else for (let row = from; row < to; row++) await out.write(this.#fillerRow());
    }
  }

  get #rowBytes(): number {
    return byteCount(this.spec.dtype, this.spec.rowShape);
  }

  #fillerRow(): Uint8Array {
    this.#filler ??= bytesOf(filled(this.spec.dtype, this.spec.rowShape));
    return this.#filler;
  }

  #checkSame(tensor: Tensor): void {
    const { name, dtype, rowShape } = this.spec;
    const first = { dtype, shape: [null, ...rowShape] };
    const now = { dtype: tensor.dtype, shape: [null, ...tensor.shape.slice(1)] };
    if (formatSpec(first) === formatSpec(now)) return;
    throw new TandemError(
      'TANDEM_OUTPUT_UNSUPPORTED',
      `output "${name}" is ${formatSpec(now)} here and was ${formatSpec(first)} in the first rows: it is not one array`,
      { remedy: 'write JSON lines, where rows may differ: name the output .jsonl' },
    );
  }
}

function filled(dtype: DType, shape: readonly number[]): TypedArray {
  const row = allocate(dtype, shape);
  if (row instanceof Float32Array || row instanceof Float64Array) return row.fill(Number.NaN);
  if (dtype === 'float16') return (row as Uint16Array).fill(toWord(Number.NaN, FLOAT16));
  return row;
}
