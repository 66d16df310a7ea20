/** Limits of the whole numbers in a plan. A larger number is a typing error or a value meant for something else. */

import { TandemError } from '../errors.js';
import { grouped } from '../grouped-digits.js';

/** Threads or workers; more than any machine has. */
export const MOST_THREADS = 1024;
/** A replica's share: its micro-batches of one round. */
export const MOST_TURNS = 1000;
/** Rows of a micro-batch, micro-batches in flight, or seconds. */
export const MOST = 1_000_000;

export interface Bounds {
  readonly most?: number | undefined;
  readonly remedy: string;
}

/** Returns `value` if it is a whole number from 1 to `most`, else throws TANDEM_USAGE. `subject` begins the message, such as `depth is 0,`. */
export function checkCount(value: unknown, subject: string, { most = MOST, remedy }: Bounds): number {
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most) return Number(value);
  throw new TandemError('TANDEM_USAGE', `${subject} not a whole number from 1 to ${grouped(most)}`, {
    remedy,
  });
}

/** A whole number from 1 up; `what` names it for people. */
export function parseCount(text: string, what: string, most?: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : null;
  return checkCount(count, `${what} "${text}" is`, { most, remedy: 'for example: 2' });
}
