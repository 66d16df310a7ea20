/** The error of one row: thrown while the row is read, and turned into a failure of that row alone. */
import type { ErrorCode } from '../errors.js';
import type { GivenId, RowFailure } from './source.js';

export type RowFaultCode = Extract<ErrorCode, `TANDEM_ROW_${string}`>;

export class RowFault extends Error {
  readonly code: RowFaultCode;

  constructor(code: RowFaultCode, message: string) {
    super(message);
    this.name = 'RowFault';
    this.code = code;
  }

  at(index: number, id: GivenId, batchLine = false): RowFailure {
    const { code, message } = this;
    return { index, id, code, message, ...(batchLine && { batchLine }) };
  }
}

/** `inputs` and `image` give `inputs.image`; a name that is not an identifier is quoted: `inputs["serving_default_x:0"]`. */
export function memberPath(root: string, name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? `${root}.${name}` : `${root}[${JSON.stringify(name)}]`;
}

/** `root[3][5]`: the element `flat` of a row-major row of shape `dims`. */
export function elementPath(root: string, flat: number, dims: readonly number[]): string {
  let path = '';
  let rest = flat;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    path = `[${rest % dims[axis]!}]${path}`;
    rest = Math.floor(rest / dims[axis]!);
  }
  return root + path;
}
