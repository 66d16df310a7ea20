/** Interpolation: the times of a number of threads that was not measured, from one with fewer and one with more. */
import { engineBuild } from '../../engine/choose.js';
import { findCase, type MeasuredCase, type Profile } from '../measure/profile.js';
import type { Timing } from '../measure/stopwatch.js';
import type { StageOption } from './topology.js';

/** The measured case of an option, or one interpolated between two measured ones. */
export function caseOf(profile: Profile, { allocation, between }: StageOption, microBatch: number): MeasuredCase {
  const build = engineBuild(allocation.engine, allocation.provider);
  const exact = findCase(profile, allocation, microBatch, build);
  if (exact || !between) return exact!;
  const [fewer, more] = between.map((each) => findCase(profile, each, microBatch, build)!) as [
    MeasuredCase,
    MeasuredCase,
  ];
  const share = Math.log(allocation.threads / fewer.threads) / Math.log(more.threads / fewer.threads);
  return { ...fewer, ...allocation, ...mixed(fewer, more, share) };
}

function mixed(a: MeasuredCase, b: MeasuredCase, share: number): Pick<MeasuredCase, 'kinds' | 'whole' | 'emptyBytes'> {
  return {
    kinds:
      b.kinds.length === a.kinds.length ? a.kinds.map((timing, kind) => between(timing, b.kinds[kind]!, share)) : [],
    whole: a.whole && b.whole && between(a.whole, b.whole, share),
    emptyBytes: most(a.emptyBytes, b.emptyBytes),
  };
}

/** Seconds are interpolated linearly in their logarithms; of the bytes the larger counts. */
function between(a: Timing, b: Timing, share: number): Timing {
  return {
    ...a,
    seconds: a.seconds ** (1 - share) * b.seconds ** share,
    loadedBytes: most(a.loadedBytes, b.loadedBytes),
    peakBytes: most(a.peakBytes, b.peakBytes),
  };
}

function most(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b);
}
