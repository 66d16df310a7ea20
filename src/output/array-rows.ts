/** One output as an array of bytes that grows by rows, without a header. The first micro-batch sets its type and shape; later ones must match. */
import { TandemError } from '../errors.js';
import { miniFloatOf } from '../rows/finite.js';
import { toWord } from '../rows/half-float.js';
import type { ArraySpec } from '../rows/npy/array-spec.js';
import { allocate, byteCount, bytesOf, type DType, formatSpec, type Tensor, type TypedArray } from '../tensor.js';
import { type ByteWriter, checkRowsAxis, type RowRange } from './rows-writer.js';

export class ArrayRows {
  readonly spec: ArraySpec;
  /** The bytes of one failed row, made when the first row fails. */
  #filler: Uint8Array | null = null;

  constructor(spec: ArraySpec) {
    this.spec = spec;
  }

  /** Append rows. `tensor` holds the `goodRows` good rows; a failed row is written as NaN if the type has it, else as zeros. */
  async write(tensor: Tensor, goodRows: number, ranges: readonly RowRange[], out: ByteWriter): Promise<void> {
    checkRowsAxis(this.spec.name, tensor, goodRows);
    this.#checkSame(tensor);
    const bytes = bytesOf(tensor.data);
    const rowBytes = this.#rowBytes;
    for (const { from, to, outputRow } of ranges) {
      if (outputRow !== null) await out.write(bytes.subarray(outputRow * rowBytes, (outputRow + to - from) * rowBytes));
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
      `output "${name}" is ${formatSpec(now)} here but was ${formatSpec(first)} in the first rows: it is not one array`,
      { remedy: 'write JSON lines, where rows may differ: name the output .jsonl' },
    );
  }
}

function filled(dtype: DType, shape: readonly number[]): TypedArray {
  const row = allocate(dtype, shape);
  if (row instanceof Float32Array || row instanceof Float64Array) return row.fill(Number.NaN);
  const half = miniFloatOf(dtype);
  if (half) return (row as Uint16Array).fill(toWord(Number.NaN, half));
  return row;
}
