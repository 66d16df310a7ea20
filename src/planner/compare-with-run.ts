/**
 * Compares a plan with the measurements of its run: if they disagree, the plan is stale and will be made again, so that one busy moment does
 * not spoil later runs.
 */
import { BUSY } from '../machine/busy.js';
import type { KnownPlan, Pace } from './known-plans.js';

/** The measurements of a run. */
export interface RunObservation extends Pace {
  /** Full micro-batches of the stage that had the fewest. */
  readonly microBatches: number;
  /** Seconds in which the stages were computing. */
  readonly seconds: number;
  /** Median seconds of a micro-batch in each stage. */
  readonly stageSeconds: readonly number[];
  /** The share of the cores' time that other work took; `null` if unknown. */
  readonly busy: number | null;
}

/** A run needs at least so many micro-batches and seconds to be compared with a plan. */
const ENOUGH = { microBatches: 12, seconds: 0.5 };

/**
 * The shares by which a stage may differ from the plan, unless the plan's own observations differ by more. A stage may be slower because of
 * other work. It cannot be faster than possible: if it is faster, the plan was measured in a busy moment.
 */
const AGREES = { faster: 0.12, slower: 0.2 };

/** Observations that differ by more than this share show a bad measurement; they allow no larger deviation. */
const MOST_NOISE = 0.3;

/**
 * Times that a plan is made again for being too optimistic. Real rows may be slower than the zeros that it was tried on, and then every new
 * plan is too optimistic.
 */
const MOST_DOUBTS = 2;

/** The known plan after the run: the better paces are kept, and the plan is marked stale if it must be made again. */
export function comparedWithRun(known: KnownPlan, run: RunObservation): KnownPlan {
  const isCalm = run.busy === null || run.busy < BUSY;
  const seen = known.seen
    ? {
        loadSeconds: Math.min(known.seen.loadSeconds, run.loadSeconds),
        secondsPerRow: Math.min(known.seen.secondsPerRow, run.secondsPerRow),
      }
    : { loadSeconds: run.loadSeconds, secondsPerRow: run.secondsPerRow };
  const next = { ...known, seen };
  const expected = known.plan.expected?.stages;
  if (known.stale !== null || !expected) return next;
  if (run.microBatches < ENOUGH.microBatches || run.seconds < ENOUGH.seconds) return next;
  const ratios = run.stageSeconds.map((seconds, j) => (expected[j]!.seconds > 0 ? seconds / expected[j]!.seconds : 1));
  const stage = furthest(ratios);
  const ratio = ratios[stage]!;
  const noise = Math.min(MOST_NOISE, known.plan.expected?.noise ?? 0);
  if (ratio < 1 - Math.max(AGREES.faster, noise))
    return { ...next, stale: `stage ${stage} takes ${asShare(ratio)} of what was measured` };
  if (ratio > 1 + Math.max(AGREES.slower, noise) && isCalm && known.doubts < MOST_DOUBTS) {
    const stale = `stage ${stage} takes ${asShare(ratio)} of what was measured`;
    return { ...next, doubts: known.doubts + 1, stale, wasSlower: true };
  }
  return next;
}

/** The stage that deviates most, as a ratio in either direction. */
function furthest(ratios: readonly number[]): number {
  const distances = ratios.map((ratio) => Math.abs(Math.log(ratio)));
  return distances.indexOf(Math.max(...distances));
}

function asShare(ratio: number): string {
  return `${Math.round(100 * ratio)} %`;
}
