/** All messages between a pool and its workers, across the thread or process boundary; plain data. */
import type { Layout } from '../arena/layout.js';
import type { ArenaHandle } from '../arena/memory.js';
import type { DecoderHold, StageVisit } from '../engine/decoder-slice.js';
import type { EngineOptions } from '../engine/engine.js';
import type { Holding } from '../engine/held-slices.js';
import type { WireError } from '../errors.js';
import type { ResidentMemory } from '../machine/resident-memory.js';
import type { TensorFacts } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import type { DType, Tensor, TensorSpec } from '../tensor.js';

/** Passed to every worker of a pool at its start. */
export interface WorkerSetup {
  readonly engine: string;
  readonly options: EngineOptions;
  /** The file of the model that will be loaded first, if it is known. */
  readonly model?: string | undefined;
}

/** Passed to every thread at its start. */
export interface ThreadSetup extends WorkerSetup {
  /** The memory of the safepoints of its pool. */
  readonly safepoints: SharedArrayBuffer;
}

/** Errors are sent as data: a structured clone of an Error loses its code, and an uncaught one would end the process. */
export type Reply<T> = { readonly ok: T } | { readonly error: WireError };

/** The calls that a worker answers, by name, with their arguments and results. */
export interface Calls {
  /** Hold these slices; with `parts` to compute micro-batches in sub-batches. */
  load: { ask: Holding; answer: Loaded };
  /** Warm up: run the slice of this key on the tensors of the message, and return its outputs. */
  probe: { ask: { slice: string; inputs: readonly Tensor[] }; answer: Probed };
  /** Time the first slice: one warm-up run, then at least `runs` runs and `millis` milliseconds. With `runs` 0 the first run is the result. */
  time: { ask: { inputs: readonly TimedInput[]; runs: number; millis: number }; answer: Timed };
  /** Infer the output shapes of a slice of the same model for these inputs, without computing; `null` if the engine cannot. */
  infer: { ask: { slice: Slice; inputs: readonly TensorSpec[] }; answer: readonly TensorSpec[] | null };
  /** Use these slots from now on, as worker `workerIndex` of this pool of the route. */
  attach: { ask: { layout: Layout; handle: ArenaHandle; pool: number; workerIndex: number }; answer: null };
  /**
   * Compute the slots that are READY for the pool, until it is halted (`null`) or a micro-batch fails. No message is sent meanwhile: worker
   * and coordinator communicate through the slots.
   */
  serve: { ask: Record<string, never>; answer: Failed | null };
  /** Load a slice of a decoder with the state of its layers. */
  hold: { ask: DecoderHold; answer: Held };
  /** Put new tokens of some sequences through that slice. */
  visit: { ask: StageVisit; answer: Visited };
  /** Free what the engine holds, before its thread ends. */
  dispose: { ask: Record<string, never>; answer: null };
  /** Compute the shapes of a whole model's tensors, for planning. `axes` and `feeds` follow the model's inputs. */
  describe: {
    ask: {
      model: string;
      fed: readonly string[];
      axes: readonly (number | null)[];
      fixedBatch: number | null;
      feeds: readonly Tensor[];
    };
    answer: [string, Described][];
  };
}

/** The calls that a decoder's process answers. */
export type DecoderCalls = Pick<Calls, 'hold' | 'visit'>;

export interface ThreadAsk {
  readonly name: CallName;
  readonly ask: object;
}

/** The calls that a stage's host answers. It also sends `Failed` for each slot that its workers could not compute. */
export interface HostCalls {
  load: Calls['load'];
  probe: Calls['probe'];
  time: Calls['time'];
  infer: Calls['infer'];
  describe: Calls['describe'];
  attach: { ask: { layout: Layout; pool: number }; answer: null };
  /** Begin to compute READY slots. The caller does not wait for the answer, since the first micro-batch may end the process. */
  serve: { ask: Record<string, never>; answer: null };
  /** Stop using the slots; the wait queue is halted before. */
  detach: { ask: Record<string, never>; answer: null };
  hold: Calls['hold'];
  visit: Calls['visit'];
  /** The memory of the host's process; `restart` resets its peak after this answer. */
  memory: { ask: { restart: boolean }; answer: ResidentMemory };
}

export interface HostAsk<K extends keyof HostCalls = keyof HostCalls> {
  /** Repeated in the answer. */
  readonly id: number;
  readonly name: K;
  readonly ask: HostCalls[K]['ask'];
}

/** The first frame. */
export type HostBooted = 'booted';

export interface HostAnswer {
  readonly id: number;
  readonly reply: Reply<unknown>;
}

/** File descriptors that a host inherits: the pipe for frames, the arena's file, and the outer end of the coordinator's notify socket. */
export const HOST_PIPE = 3;
export const HOST_ARENA = 4;
export const HOST_NOTIFY_SOCKET = 5;

export type CallName = keyof Calls;
export type Ask<K extends CallName> = Calls[K]['ask'];
export type Answer<K extends CallName> = Calls[K]['answer'];

export interface Loaded {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
}

export interface Held extends Loaded {
  /** Bytes of the state of all slots. */
  readonly stateBytes: number;
}

export interface Visited {
  /** As `LoadedDecoderSlice.visit`. */
  readonly outputs: readonly Tensor[];
  readonly micros: number;
}

/** The slot that could not be computed; its state is still RUNNING. */
export interface Failed {
  readonly slot: number;
  readonly error: WireError;
}

export interface Probed {
  /** In the order of `slice.outputs`. */
  readonly outputs: readonly Tensor[];
  readonly micros: number;
}

/** A tensor, or only its element type and shape: the worker then uses zeros, so that large tensors need not be sent. */
export type TimedInput = Tensor | Pick<Tensor, 'dtype' | 'shape'>;

export interface Timed {
  /** Microseconds of each run. */
  readonly micros: readonly number[];
}

export interface Described {
  readonly dtype: DType;
  readonly shape: readonly (number | null)[];
}

/** A graph's shapes from the answer to `describe`. */
export function factsOf(answer: Answer<'describe'>): TensorFacts {
  return new Map(answer);
}

/** Microseconds of the monotonic clock; comparable between threads and processes of one machine. */
export function micros(): number {
  return Number(process.hrtime.bigint()) / 1e3;
}
