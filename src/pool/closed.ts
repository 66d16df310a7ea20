/** The error of calls that are pending when the pipeline is closed, or come later. */
import { TandemError } from '../errors.js';

export function hasBeenClosed(): TandemError {
  return new TandemError('TANDEM_CLOSED', 'the pipeline has been closed');
}
