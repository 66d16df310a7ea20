/** What whoever still waits is told once the pipeline has been closed. */
import { TandemError } from '../errors.js';

export function hasBeenClosed(): TandemError {
  return new TandemError('TANDEM_CLOSED', 'the pipeline has been closed');
}
