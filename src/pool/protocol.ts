/** Everything that crosses the wall between a pool and its workers; plain data, structured clone. */
import type { Layout } from '../arena/layout.js';
import type { Place } from '../arena/memory.js';
import type { EngineName, EngineOptions } from '../engine/engine.js';
import type { WireError } from '../errors.js';
import type { TensorFacts } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import type { DType, Tensor, TensorSpec } from '../tensor.js';
import type { ResidentMemory } from './resident-memory.js';

/** Given to every worker of a pool when it is started. */
export interface WorkerSetup {
  readonly engine: EngineName;
  readonly options: EngineOptions;
  /** The file of the model that the first slice will be of, where that is known already. */
  readonly model?: string | undefined;
}

/** Errors travel as data: a structured clone of an Error loses its code, and an uncaught one takes the process with it. */
export type Reply<T> = { readonly ok: T } | { readonly error: WireError };

/** The calls that a worker answers, by name: what it is given, what it gives back. */
export interface Calls {
  /** Read the slice's weights and make it ready; with `rowsAtOnce`, to compute micro-batches in parts of at most so many rows. */
  load: { ask: { slice: Slice; rowsAtOnce: number | null }; answer: Loaded };
  /** Compute on tensors that travel with the message: it warms the worker up and tells what the slice makes. */
  probe: { ask: { inputs: readonly Tensor[] }; answer: Probed };
  /** Compute on zeros again and again: at least `runs` times and `millis` long, after one run that counts only where no others are wanted. */
  time: { ask: { inputs: readonly TimedInput[]; runs: number; millis: number }; answer: Timed };
  /** What a slice of the same model makes of such inputs, where the engine knows without computing. */
  foresee: { ask: { slice: Slice; inputs: readonly TensorSpec[] }; answer: readonly TensorSpec[] | null };
  /** From now on, work on these slots. */
  attach: { ask: { layout: Layout; place: Place; stage: number; turn: number }; answer: null };
  /**
   * Compute whatever comes to the stage in these slots, until it is halted (`null`) or a micro-batch fails. Nothing crosses the
   * wall meanwhile: worker and coordinator meet in the slots.
   */
  serve: { ask: Record<string, never>; answer: Failed | null };
  /** Free what the engine holds, while the thread that it belongs to still stands. */
  dispose: { ask: Record<string, never>; answer: null };
  /** What the tensors of a whole model are; for planning, in a worker of its own. */
  describe: { ask: { model: string; feeds: readonly Tensor[] }; answer: [string, Described][] };
}

/** The calls that a stage's host answers. Of a slot that its workers could not compute it tells `Failed` besides. */
export interface HostCalls {
  load: Calls['load'];
  probe: Calls['probe'];
  time: Calls['time'];
  foresee: Calls['foresee'];
  describe: Calls['describe'];
  attach: { ask: { layout: Layout; stage: number; turn: number }; answer: null };
  /** Begin to compute what comes. Nobody waits for the answer, since the first micro-batch may end the process. */
  serve: { ask: Record<string, never>; answer: null };
  /** Let go of the slots; the bell has been halted before. */
  detach: { ask: Record<string, never>; answer: null };
  /** What the host's process holds; `restart` makes its peak begin anew, after this answer. */
  memory: { ask: { restart: boolean }; answer: ResidentMemory };
}

export interface HostAsk<K extends keyof HostCalls = keyof HostCalls> {
  /** Repeated in the answer. */
  readonly id: number;
  readonly name: K;
  readonly ask: HostCalls[K]['ask'];
}

export interface HostAnswer {
  readonly id: number;
  readonly reply: Reply<unknown>;
}

/** File descriptors that a host finds open: the pipe for frames, the arena's file, and the outside of the coordinator's doorbell. */
export const HOST_PIPE = 3;
export const HOST_ARENA = 4;
export const HOST_DOORBELL = 5;

export type CallName = keyof Calls;
export type Ask<K extends CallName> = Calls[K]['ask'];
export type Answer<K extends CallName> = Calls[K]['answer'];

export interface Loaded {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
}

/** The slot that could not be computed, which the worker has left as it was. */
export interface Failed {
  readonly slot: number;
  readonly error: WireError;
}

export interface Probed {
  /** In the order of `slice.outputs`. */
  readonly outputs: readonly Tensor[];
  readonly micros: number;
}

/** A tensor, or what it is: zeros then stand for it, so that large ones need not cross the wall. */
export type TimedInput = Tensor | Pick<Tensor, 'dtype' | 'shape'>;

export interface Timed {
  /** Microseconds of each run. */
  readonly micros: readonly number[];
}

export interface Described {
  readonly dtype: DType;
  readonly shape: readonly (number | null)[];
}

/** A graph's shape facts as they came over the wall. */
export function factsOf(answer: Answer<'describe'>): TensorFacts {
  return new Map(answer);
}

/** Microseconds of the monotonic clock; comparable between threads and processes of one machine. */
export function micros(): number {
  return Number(process.hrtime.bigint()) / 1e3;
}
