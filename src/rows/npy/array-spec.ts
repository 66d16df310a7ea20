/** Describes an array of rows, without their number. */
import type { DType, Tensor } from '../../tensor.js';

/** Plain data, safe to serialise. */
export interface ArraySpec {
  readonly name: string;
  readonly dtype: DType;
  readonly rowShape: readonly number[];
}

/** The array of an output, from its first tensor. */
export function arrayOf(name: string, { dtype, shape }: Tensor): ArraySpec {
  return { name, dtype, rowShape: shape.slice(1) };
}
