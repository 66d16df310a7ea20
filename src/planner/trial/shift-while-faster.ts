/** Tries cut after cut of a topology while the measurements show that it helps. */
import type { Plan } from '../../plan/plan.js';
import type { Search } from '../search/allocation.js';
import type { Scales } from '../search/candidate.js';
import { shiftCut, type TriedCut } from './shift-cut.js';

/**
 * At most `shifts` further cuts of a topology are tried, and none is started after `seconds`: a plan that loads for long is shifted once. If
 * the next shift promises at least `sure.gain`, the limit is `sure.seconds`.
 */
const MOST = { shifts: 3, seconds: 4, sure: { gain: 0.05, seconds: 10 } };

/**
 * Shifts the cut while the measurements show that it helps; no cut is tried twice. `attempt` tries a plan that was estimated with the given
 * scales. `toBeat` returns the rows a second of the fastest plan so far, of any topology. `clock` gives milliseconds.
 * Returns all tried cuts.
 */
export async function shiftWhileFaster<T extends TriedCut>(
  search: Search,
  first: T,
  toBeat: () => number,
  attempt: (plan: Plan, scales: Scales) => Promise<T>,
  clock: () => number = () => performance.now(),
): Promise<T[]> {
  const triedCuts = [first];
  const begun = clock();
  while (triedCuts.length <= MOST.shifts) {
    const shift = shiftCut(search, triedCuts, toBeat());
    if (!shift) break;
    const seconds = shift.gain >= MOST.sure.gain ? MOST.sure.seconds : MOST.seconds;
    if (clock() - begun > seconds * 1e3) break;
    triedCuts.push(await attempt(shift.plan, shift.scales));
  }
  return triedCuts;
}
