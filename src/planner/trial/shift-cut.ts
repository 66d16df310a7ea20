/** Shifting the cut: where it is best, by the times of the loaded stages of the cuts that were tried. */
import { sharesOf } from '../../arena/replicas.js';
import type { Plan } from '../../plan/plan.js';
import { intervalOf } from '../../schedule/predict.js';
import { geometricMean } from '../measure/geometric-mean.js';
import type { Search } from '../search/allocation.js';
import { candidateOf, type Scales } from '../search/candidate.js';
import type { Tried } from './try-out.js';

/** The share that a shifted cut must gain. */
const GAIN = 0.02;

/** A cut that was tried, with its measurements. */
export type TriedCut = Pick<Tried, 'topology' | 'plan' | 'scales'>;

/** A cut to try next, estimated with `scales`, and the share by which it should be faster than the best one tried. */
export interface Shift {
  readonly plan: Plan;
  readonly scales: Required<Scales>;
  readonly gain: number;
}

/**
 * The best cut under the assumption that all layers of a stage deviate from the profile as the stage did, averaged over the cuts that were
 * tried: a machine may change its speed between two observations, but that changes all stages of one observation alike. `null` if the cut
 * gains nothing over those, or if the fastest would still be below `toBeat` rows a second.
 */
export function shiftCut(search: Search, triedCuts: readonly TriedCut[], toBeat: number): Shift | null {
  const scales = meanOf(triedCuts.map((each) => each.scales));
  const { plan } = candidateOf(search, triedCuts[0]!.topology, scales);
  if (!plan || triedCuts.some((each) => sameCut(each.plan, plan))) return null;
  const ratio = plan.expected!.rowsPerSecond / Math.max(...triedCuts.map((each) => paceUnder(each, scales)));
  const fastest = Math.max(...triedCuts.map((each) => each.plan.expected!.rowsPerSecond));
  return ratio < 1 + GAIN || ratio * fastest < toBeat ? null : { plan, scales, gain: ratio - 1 };
}

/** The mean of all observed seconds, and the largest of the bytes. */
function meanOf(all: readonly Required<Scales>[]): Required<Scales> {
  const [first] = all;
  return {
    seconds: first!.seconds.map((_, j) => geometricMean(all.map(({ seconds }) => seconds[j]!))),
    bytes: first!.bytes.map((_, j) => Math.max(...all.map(({ bytes }) => bytes[j]!))),
  };
}

/** Rows a second of a tried cut, by the stages' times alone, with the scales `seconds` instead of those observed in its trial. */
function paceUnder({ plan, scales }: TriedCut, { seconds }: Required<Scales>): number {
  const { expected } = plan;
  const then = expected!.stages.map((stage, j) => ({
    ...stage,
    seconds: (stage.seconds * seconds[j]!) / scales.seconds[j]!,
  }));
  return paceOf({ plan: { ...plan, expected: { ...expected!, stages: then } } });
}

/** Rows a second by the stages' times alone, like the estimate of a plan that was not tried. */
export function paceOf({ plan: { stages, expected, microBatch } }: Pick<Tried, 'plan'>): number {
  const times = stages.map(({ workers }, j) => ({ seconds: expected!.stages[j]!.seconds, workers }));
  return microBatch / intervalOf(times, sharesOf(stages));
}

function sameCut(a: Plan, b: Plan): boolean {
  const shape = ({ stages }: Plan) =>
    stages.map(({ layers, workers, threads, turns = 1 }) => [layers.from, workers, threads, turns]).join(' ');
  return shape(a) === shape(b);
}
