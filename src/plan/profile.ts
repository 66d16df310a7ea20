/** The profile: what was measured of a model on this machine, case by case; plain data that is kept between runs. */
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import { modelHash } from '../model/model-hash.js';
import type { TensorSpec } from '../tensor.js';
import { machineName } from './machine-name.js';
import type { Segment } from './segment.js';
import type { Staffing, Timing } from './stopwatch.js';

/** One way to compute, measured. */
export interface MeasuredCase extends Staffing {
  readonly microBatch: number;
  /** The engine's build. */
  readonly build: string;
  /** Of each kind of segment, by number; empty where only the whole was wanted. */
  readonly kinds: readonly Timing[];
  /** Of the model in one piece, where that fitted into the memory; where a run takes long, its seconds as its parts and another case tell them. */
  readonly whole: Timing | null;
  /** What a worker's process holds before any slice is loaded, in bytes; `null` where the system does not tell. */
  readonly emptyBytes: number | null;
  /** Seconds of a call to a worker that does nothing. */
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
  /** Seconds in which a byte is copied in memory. */
  readonly secondsPerByte: number;
  /** The micro-batch that was found best, by the case that it was looked for with. */
  readonly microBatches: Readonly<Record<string, number>>;
  readonly cases: readonly MeasuredCase[];
}

type TensorFact = TensorFacts extends ReadonlyMap<string, infer Fact> ? Fact : never;

/** What a profile is of. */
export interface ProfileSubject {
  readonly model: string;
  readonly machine: string;
  readonly rowShapes: Profile['rowShapes'];
}

export function subjectOf(graph: ModelGraph, rowSpecs: readonly TensorSpec[]): ProfileSubject {
  return { model: modelHash(graph), machine: machineName(), rowShapes: rowSpecs.map(({ shape }) => shape) };
}

export function factsOfProfile({ facts }: Profile): TensorFacts {
  return new Map(facts);
}

/** The case of a profile that was measured so; builds of engines that are gone do not count. */
export function findCase(
  { cases }: Pick<Profile, 'cases'>,
  wanted: Staffing,
  microBatch: number,
  build: string,
): MeasuredCase | undefined {
  return cases.find((each) => sameStaffing(each, wanted) && each.microBatch === microBatch && each.build === build);
}

export function staffingKey({ device, engine, provider, threads, atOnce }: Staffing): string {
  return [device, engine, provider, threads, atOnce].join(' ');
}

function sameStaffing(a: Staffing, b: Staffing): boolean {
  return staffingKey(a) === staffingKey(b);
}
