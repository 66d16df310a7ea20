/** Reads the rows of one model input from one array of a file (NPY, NPZ, safetensors) into memory that the caller provides. */
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
import type { ByteReader } from '../byte-reader.js';
import { elementPath, RowFault } from '../row-fault.js';
import type { ArrayLocation } from './array-location.js';
import { isAccepted, numpyName } from './npy-dtype.js';
import { type Convert, converter, type Report, scanElements, swapBytes } from './npy-elements.js';
import { type NpyHeader, readNpyHeader } from './npy-header.js';

/** Bytes of a row, at most. A larger row is a damaged header or an attack: no engine takes it. */
const MAX_ROW_BYTES = 2 ** 31;
/** Elements that are converted per read. */
const ELEMENTS_AT_ONCE = 1 << 16;

export class NpyColumn {
  readonly rows: number;
  /** The model's dtype, and the shape of one row. */
  readonly rowSpec: TensorSpec;
  readonly #bytes: ByteReader;
  readonly #from: NpyHeader;
  readonly #rowShape: readonly number[];
  readonly #rowElements: number;
  readonly #allowNonFinite: boolean;

  private constructor(bytes: ByteReader, header: NpyHeader, spec: TensorSpec, allowNonFinite: boolean) {
    const [rows, ...rowShape] = header.shape as [number, ...number[]];
    this.rows = rows;
    this.rowSpec = { name: spec.name, dtype: spec.dtype, shape: rowShape };
    this.#bytes = bytes;
    this.#from = header;
    this.#rowShape = rowShape;
    this.#rowElements = rowShape.reduce((count, dim) => count * dim, 1);
    this.#allowNonFinite = allowNonFinite;
  }

  /**
   * `spec` is the model's input, with the rows' axis first. The column owns `bytes` from now on.
   * Throws TANDEM_INPUT_INVALID if the array cannot feed the input, TANDEM_INPUT_EMPTY if it has no rows.
   */
  static async open(
    bytes: ByteReader,
    location: ArrayLocation,
    spec: TensorSpec,
    { allowNonFinite = false }: { readonly allowNonFinite?: boolean } = {},
  ): Promise<NpyColumn> {
    try {
      return NpyColumn.of(bytes, await readNpyHeader(bytes, location), { location, spec, allowNonFinite });
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  /** Likewise of an array whose header has been read: `bytes` are at its first row. */
  static of(
    bytes: ByteReader,
    header: NpyHeader,
    {
      location,
      spec,
      allowNonFinite,
    }: { readonly location: ArrayLocation; readonly spec: TensorSpec; readonly allowNonFinite: boolean },
  ): NpyColumn {
    checkType(header, location, spec);
    checkShape(header, location, spec);
    checkSize(header, bytes.left, location);
    return new NpyColumn(bytes, header, spec, allowNonFinite);
  }

  async skip(rows: number): Promise<void> {
    await this.#bytes.skip(rows * this.#rowElements * bytesPerElement(this.#from.dtype));
  }

  /** Reads the next `rows` rows into the start of `into`. `faults` collects the first fault of each row, by its index in `into`. */
  async read(into: Tensor, rows: number, faults: Map<number, RowFault>): Promise<void> {
    const count = rows * this.#rowElements;
    const report: Report = (at, code, what) => {
      const row = Math.floor(at / this.#rowElements);
      if (faults.has(row)) return;
      const path = elementPath(this.rowSpec.name, at % this.#rowElements, this.#rowShape);
      faults.set(row, new RowFault(code, `${path} ${what}`));
    };
    if (this.#from.dtype === into.dtype) await this.#readSame(into, count);
    else await this.#readConverted(into, count, converter(this.#from.dtype, into.dtype), report);
    scanElements(into.dtype, into.data, count, report, { allowNonFinite: this.#allowNonFinite });
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

  /** Called after the last row: bytes that follow it mean a damaged file. */
  async end(): Promise<void> {
    await this.#bytes.end();
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }
}

function checkType({ dtype }: { dtype: DType }, location: ArrayLocation, spec: TensorSpec): void {
  if (isAccepted(dtype, spec.dtype)) return;
  const name = numpyName(spec.dtype);
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${location.label} is ${dtype}, but input "${spec.name}" takes ${spec.dtype}`,
    {
      remedy: name
        ? location.fix((array) => `${array}.astype(${name})`)
        : 'NumPy has no such type: give the rows as JSON lines (.jsonl)',
    },
  );
}

function checkShape({ dtype, shape }: NpyHeader, location: ArrayLocation, spec: TensorSpec): void {
  const [rows, ...rowShape] = shape;
  const fits =
    (spec.openRank ? shape.length > 0 : shape.length === spec.shape.length) &&
    rowShape.every((dim, axis) => (spec.shape[axis + 1] ?? dim) === dim);
  if (!fits) {
    const [is, takes] = [formatSpec({ dtype, shape }), formatSpec({ ...spec, shape: [null, ...spec.shape.slice(1)] })];
    throw new TandemError(
      'TANDEM_INPUT_INVALID',
      `${location.label} is ${is}, but input "${spec.name}" takes ${takes}`,
      {
        remedy:
          shape.length === spec.shape.length - 1
            ? `rows are the first axis; if this is one row: ${location.fix((array) => `${array}[None]`)}`
            : 'give the shape that the model takes, with rows as the first axis',
      },
    );
  }
  if (rows === 0) {
    throw new TandemError('TANDEM_INPUT_EMPTY', `${location.label} has no rows`, {
      remedy: 'give an array with at least one row',
    });
  }
}

/** Every product is checked to be a safe integer: a damaged header must not overflow into a size that looks right. */
function checkSize({ dtype, shape }: NpyHeader, left: number | null, { label }: ArrayLocation): void {
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
      ? ['it was truncated', 'copy or save it again']
      : ['other data follows the array', 'save one array in each file: np.save(FILE, array)'];
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${label} needs ${bytes} bytes for its rows and has ${left}: ${problem}`,
    {
      remedy,
    },
  );
}
