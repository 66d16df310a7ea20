/** The rows of one model input in one NPY array, read straight into memory that it is given. */
import { TandemError } from '../../errors.js';
import {
  allocate,
  bytesOf,
  bytesPerElement,
  type DType,
  formatSpec,
  type Tensor,
  type TensorSpec,
} from '../../tensor.js';
import type { ArrayPlace } from './array-place.js';
import type { ByteReader } from './byte-reader.js';
import { isAccepted, numpyName } from './npy-dtype.js';
import { type Convert, converter, type Report, scanElements, swapBytes } from './npy-elements.js';
import { type NpyHeader, readNpyHeader } from './npy-header.js';
import { elementPath, RowFault } from './row-fault.js';

/** A row of more bytes than this is a damaged header or an attack: no engine takes it. */
const MAX_ROW_BYTES = 2 ** 31;
/** Elements that are converted at once. */
const ELEMENTS_AT_ONCE = 1 << 16;

export class NpyColumn {
  readonly rows: number;
  /** The model's dtype, and the shape of one row. */
  readonly rowSpec: TensorSpec;
  readonly #bytes: ByteReader;
  readonly #from: NpyHeader;
  readonly #rowShape: readonly number[];
  readonly #rowElements: number;

  private constructor(bytes: ByteReader, header: NpyHeader, spec: TensorSpec) {
    const [rows, ...rowShape] = header.shape as [number, ...number[]];
    this.rows = rows;
    this.rowSpec = { name: spec.name, dtype: spec.dtype, shape: rowShape };
    this.#bytes = bytes;
    this.#from = header;
    this.#rowShape = rowShape;
    this.#rowElements = rowShape.reduce((count, dim) => count * dim, 1);
  }

  /**
   * `spec` is the model's input, rows' axis first. The column owns `bytes` from now on.
   * Throws TANDEM_INPUT_INVALID where the array cannot feed the input, TANDEM_INPUT_EMPTY where it has no rows.
   */
  static async open(bytes: ByteReader, place: ArrayPlace, spec: TensorSpec): Promise<NpyColumn> {
    try {
      const header = await readNpyHeader(bytes, place);
      checkType(header, place, spec);
      checkShape(header, place, spec);
      checkSize(header, bytes.left, place);
      return new NpyColumn(bytes, header, spec);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  async skip(rows: number): Promise<void> {
    await this.#bytes.skip(rows * this.#rowElements * bytesPerElement(this.#from.dtype));
  }

  /** The next `rows` rows into the first places of `into`. `faults` gathers, by place, what is wrong with a row; the first one counts. */
  async read(into: Tensor, rows: number, faults: Map<number, RowFault>): Promise<void> {
    const count = rows * this.#rowElements;
    const report: Report = (at, code, what) => {
      const place = Math.floor(at / this.#rowElements);
      if (faults.has(place)) return;
      const path = elementPath(this.rowSpec.name, at % this.#rowElements, this.#rowShape);
      faults.set(place, new RowFault(code, `${path} ${what}`));
    };
    if (this.#from.dtype === into.dtype) await this.#readSame(into, count);
    else await this.#readConverted(into, count, converter(this.#from.dtype, into.dtype), report);
    scanElements(into.dtype, into.data, count, report);
  }

  async #readSame(into: Tensor, count: number): Promise<void> {
    const data = into.data.subarray(0, count);
    await this.#bytes.read(bytesOf(data));
    if (this.#from.bigEndian) swapBytes(data);
  }

  async #readConverted(into: Tensor, count: number, convert: Convert, report: Report): Promise<void> {
    const scratch = allocate(this.#from.dtype, [Math.min(count, ELEMENTS_AT_ONCE)]);
    for (let done = 0; done < count; done += ELEMENTS_AT_ONCE) {
      const source = scratch.subarray(0, Math.min(ELEMENTS_AT_ONCE, count - done));
      await this.#bytes.read(bytesOf(source));
      if (this.#from.bigEndian) swapBytes(source);
      convert(source, into.data, done, report);
    }
  }

  /** All rows are read: anything that follows them is damage. */
  async end(): Promise<void> {
    await this.#bytes.end();
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }
}

function checkType({ dtype }: { dtype: DType }, place: ArrayPlace, spec: TensorSpec): void {
  if (isAccepted(dtype, spec.dtype)) return;
  const name = numpyName(spec.dtype);
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${place.label} is ${dtype}, but input "${spec.name}" takes ${spec.dtype}`,
    {
      remedy: name
        ? place.fix((array) => `${array}.astype(${name})`)
        : 'NumPy has no such type: give the rows as JSON lines (.jsonl)',
    },
  );
}

function checkShape({ dtype, shape }: NpyHeader, place: ArrayPlace, spec: TensorSpec): void {
  const [rows, ...rowShape] = shape;
  const fits =
    shape.length === spec.shape.length &&
    rowShape.every((dim, axis) => dim > 0 && (spec.shape[axis + 1] ?? dim) === dim);
  if (!fits) {
    const [is, takes] = [formatSpec({ dtype, shape }), formatSpec({ ...spec, shape: [null, ...spec.shape.slice(1)] })];
    throw new TandemError('TANDEM_INPUT_INVALID', `${place.label} is ${is}, but input "${spec.name}" takes ${takes}`, {
      remedy:
        shape.length === spec.shape.length - 1
          ? `rows go along the first axis; if this is one row: ${place.fix((array) => `${array}[None]`)}`
          : 'give the shape that the model takes, rows along the first axis',
    });
  }
  if (rows === 0) {
    throw new TandemError('TANDEM_INPUT_EMPTY', `${place.label} has no rows`, {
      remedy: 'give an array with at least one row',
    });
  }
}

/** Products are of whole numbers below 2^53, checked one by one: a damaged header must not overflow into a size that looks right. */
function checkSize({ dtype, shape }: NpyHeader, left: number | null, { label }: ArrayPlace): void {
  const rowBytes = shape.slice(1).reduce((bytes, dim) => bytes * dim, bytesPerElement(dtype));
  const bytes = rowBytes * shape[0]!;
  if (!(rowBytes <= MAX_ROW_BYTES) || !Number.isSafeInteger(bytes)) {
    throw new TandemError('TANDEM_INPUT_INVALID', `${label} claims rows of ${rowBytes} bytes, ${shape[0]} of them`, {
      remedy: `a row may have ${MAX_ROW_BYTES} bytes; save the array again if its header is damaged`,
    });
  }
  if (left === null || left === bytes) return;
  const [problem, remedy] =
    left < bytes
      ? ['it was cut short', 'copy or save it again']
      : ['something follows the array', 'save one array in each file: np.save(FILE, array)'];
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${label} needs ${bytes} bytes for its rows and has ${left}: ${problem}`,
    {
      remedy,
    },
  );
}
