/** One output as an array that grows by rows: the first micro-batch says what it is, and every later one must agree. */
import { TandemError } from '../../errors.js';
import { allocate, byteCount, bytesOf, type DType, formatSpec, type Tensor, type TypedArray } from '../../tensor.js';
import { FLOAT16, toWord } from './mini-float.js';
import { npyHeader } from './npy-header.js';
import { type ByteWriter, checkRowsAxis, type RowRun } from './rows-writer.js';

export class ArrayRows {
  readonly name: string;
  readonly #dtype: DType;
  readonly #rowShape: readonly number[];
  /** The bytes of one failed row, made when the first row fails. */
  #filler: Uint8Array | null = null;
  #rows = 0;

  /** Throws TANDEM_OUTPUT_UNSUPPORTED for a type that NumPy does not have. */
  constructor(name: string, { dtype, shape }: Tensor) {
    this.name = name;
    this.#dtype = dtype;
    this.#rowShape = shape.slice(1);
    this.header(0);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes of `rows` rows, without the header. */
  bytesFor(rows: number): number {
    return rows * this.#rowBytes;
  }

  /** The NPY header for `rows` rows: as many bytes for any count. */
  header(rows: number): Buffer {
    return npyHeader(this.#dtype, this.#rowShape, rows);
  }

  /** Append the rows of `tensor`; failed ones keep their place, as NaN where the type has it, else as zeros. */
  async write(tensor: Tensor, rows: number, runs: readonly RowRun[], out: ByteWriter): Promise<void> {
    checkRowsAxis(this.name, tensor, rows);
    this.#checkSame(tensor);
    const bytes = bytesOf(tensor.data);
    for (const { from, to, failed } of runs) {
      if (!failed) await out.write(bytes.subarray(from * this.#rowBytes, to * this.#rowBytes));
      else for (let row = from; row < to; row++) await out.write(this.#fillerRow());
    }
    this.#rows += rows;
  }

  get #rowBytes(): number {
    return byteCount(this.#dtype, this.#rowShape);
  }

  #fillerRow(): Uint8Array {
    this.#filler ??= bytesOf(filled(this.#dtype, this.#rowShape));
    return this.#filler;
  }

  #checkSame(tensor: Tensor): void {
    const first = { dtype: this.#dtype, shape: [null, ...this.#rowShape] };
    const now = { dtype: tensor.dtype, shape: [null, ...tensor.shape.slice(1)] };
    if (formatSpec(first) === formatSpec(now)) return;
    throw new TandemError(
      'TANDEM_OUTPUT_UNSUPPORTED',
      `output "${this.name}" is ${formatSpec(now)} here and was ${formatSpec(first)} in the first rows: it is not one array`,
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
