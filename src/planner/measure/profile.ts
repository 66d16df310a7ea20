/** The profile: the measurements of a model on this machine, case by case; plain data that is kept between runs. */

import { machineName } from '../../machine/name.js';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import type { TensorSpec } from '../../tensor.js';
import { keptModelHash } from './kept-hash.js';
import type { Segment } from './segment.js';
import type { Allocation, Timing } from './stopwatch.js';

/** The measurements of one allocation. */
export interface MeasuredCase extends Allocation {
  readonly microBatch: number;
  /** The engine's build. */
  readonly build: string;
  /** For each kind of segment, by number; empty if only the whole model was measured. */
  readonly kinds: readonly Timing[];
  /** The whole model; `null` if it did not fit into memory. If a run takes long, its seconds are derived from its segments and another case. */
  readonly whole: Timing | null;
  /** Bytes of a worker's process before any slice is loaded; `null` if the system does not report it. */
  readonly emptyBytes: number | null;
  /** Seconds of an empty call to a worker. */
  readonly roundTrip: number;
}

export interface Profile {
  readonly schema: 1;
  readonly model: string;
  readonly machine: string;
  /** One row's shape of each graph input. */
  readonly rowShapes: readonly (readonly (number | null)[])[];
  readonly facts: readonly (readonly [string, TensorFact])[];
  readonly segments: readonly Segment[];
  /** Seconds to copy one byte in memory. */
  readonly secondsPerByte: number;
  /** The best micro-batch, by the allocation and engine build that it was searched with. */
  readonly microBatches: Readonly<Record<string, number>>;
  readonly cases: readonly MeasuredCase[];
}

type TensorFact = TensorFacts extends ReadonlyMap<string, infer Fact> ? Fact : never;

/** What a profile is keyed by. */
export interface ProfileSubject {
  readonly model: string;
  readonly machine: string;
  readonly rowShapes: Profile['rowShapes'];
}

export function subjectOf(graph: ModelGraph, rowSpecs: readonly TensorSpec[]): ProfileSubject {
  return { model: keptModelHash(graph), machine: machineName(), rowShapes: rowSpecs.map(({ shape }) => shape) };
}

export function factsOfProfile({ facts }: Profile): TensorFacts {
  return new Map(facts);
}

/** The case measured with this allocation, micro-batch and engine build. Cases of other builds do not count. */
export function findCase(
  { cases }: Pick<Profile, 'cases'>,
  wanted: Allocation,
  microBatch: number,
  build: string,
): MeasuredCase | undefined {
  return cases.find((each) => sameAllocation(each, wanted) && each.microBatch === microBatch && each.build === build);
}

export function allocationKey({ device, engine, provider, threads, atOnce }: Allocation): string {
  return [device, engine, provider, threads, atOnce].join(' ');
}

function sameAllocation(a: Allocation, b: Allocation): boolean {
  return allocationKey(a) === allocationKey(b);
}
