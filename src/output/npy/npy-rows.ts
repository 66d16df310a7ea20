/** One output as an NPY array that grows by rows. */
import type { ArraySpec } from '../../rows/npy/array-spec.js';
import { npyHeader } from '../../rows/npy/npy-header.js';
import { ArrayRows } from '../array-rows.js';

export class NpyRows extends ArrayRows {
  /** Throws TANDEM_OUTPUT_UNSUPPORTED for a type that NumPy does not have. */
  constructor(spec: ArraySpec) {
    super(spec);
    this.header(0);
  }

  /** The NPY header for `rows` rows. Its length does not depend on the count. */
  header(rows: number): Buffer {
    return npyHeader(this.spec.dtype, this.spec.rowShape, rows);
  }
}
