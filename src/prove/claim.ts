/** A claim about the cards of a machine, and what became of it when it was tried. */
import { TandemError } from '../errors.js';

export type Outcome = 'held' | 'did not hold' | 'not tried';

/** `figures` are what was measured, in words; where it was not tried, the reason. */
export interface Finding {
  readonly outcome: Outcome;
  readonly figures: string;
}

export interface Claim {
  readonly claim: string;
  readonly prove: () => Promise<Finding> | Finding;
}

export function judged(holds: boolean, figures: string): Finding {
  return { outcome: holds ? 'held' : 'did not hold', figures };
}

export function notTried(reason: string): Finding {
  return { outcome: 'not tried', figures: reason };
}

/** Tries it. A run that the time did not suffice for is not tried; any other error is a claim that did not hold. */
export async function tryClaim({ prove }: Claim): Promise<Finding> {
  try {
    return await prove();
  } catch (error) {
    if (error instanceof OutOfTime) return notTried(error.message);
    if (error instanceof TandemError || error instanceof RunFailed) return judged(false, error.message);
    throw error;
  }
}

/** The time is up. */
export class OutOfTime extends Error {}

/** A run that was to succeed has ended with an error. */
export class RunFailed extends Error {}
