/** The whole numbers that a plan may hold: what is out of bounds is a typing error, or somebody else's number. */
import { TandemError } from '../errors.js';

/** More threads or workers than any machine has. */
export const MOST_THREADS = 1024;
/** Micro-batches of a round that one of several stages beside each other takes. */
export const MOST_TURNS = 1000;
/** Rows of a micro-batch, micro-batches in flight, seconds. */
export const MOST = 1_000_000;

export interface Bounds {
  readonly most?: number | undefined;
  readonly remedy: string;
}

/** `value`, if it is from 1 to `most`. Else throws TANDEM_USAGE; `told` begins what is said then: `depth is 0,`. */
export function checkCount(value: unknown, told: string, { most = MOST, remedy }: Bounds): number {
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most) return Number(value);
  throw new TandemError('TANDEM_USAGE', `${told} not a whole number from 1 to ${most.toLocaleString('en')}`, {
    remedy,
  });
}
