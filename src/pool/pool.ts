/** The interface of a pool: workers that each hold the same slices, as threads or in a process. */
import type { Arena } from '../arena/arena.js';
import type { EngineOptions } from '../engine/engine.js';
import type { Parts } from '../engine/in-parts.js';
import type { TandemError } from '../errors.js';
import type { ResidentMemory } from '../machine/resident-memory.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import type { Answer, Ask, Loaded, Probed } from './protocol.js';

export interface PoolOptions {
  readonly device: string;
  readonly engine: string;
  readonly engineOptions: EngineOptions;
  readonly workers: number;
  /** What its process runs; default `stage`. */
  readonly program?: 'stage' | 'decoder';
  /** The file of the model that will be loaded first; workers may read it ahead. */
  readonly model?: string;
  /** Milliseconds that a worker may take for one micro-batch before it counts as hung. */
  readonly deadlineMs: number;
  /** Milliseconds that loading, warming up or describing may take; default 30 minutes. */
  readonly prepareDeadlineMs?: number;
  /** Milliseconds within which a process must boot; default a minute. */
  readonly bootDeadlineMs?: number;
}

/** Milliseconds: long enough for a large model on a slow disk. */
export const PREPARE_DEADLINE_MS = 30 * 60_000;

/**
 * The order of calls: load, probe or time, attach, close. All reject with coded errors, and a slot that cannot be computed is FAILED with one:
 * TANDEM_STAGE_DIED if the worker died, TANDEM_STAGE_TIMEOUT after the deadline, TANDEM_CLOSED after `close`. Nothing hangs.
 */
export interface Pool {
  readonly options: PoolOptions;
  /** Most rows of a sub-batch, since `divide`; `null` if the workers compute whole micro-batches. */
  readonly rowsAtOnce: number | null;
  /** Its own process; `null` if its workers are threads of this one, or while it is restarted. */
  readonly pid: number | null;
  /**
   * Loads the slices in each worker, sequentially. The first `resident` (default all) stay loaded, the others rotate: one at a time. A second call
   * replaces all slices.
   */
  load(slices: readonly Slice[], resident?: number): Promise<Loaded>;
  /**
   * Reloads the slices to compute micro-batches in sub-batches, smaller ones if there is no memory, and to join their results. `parts` has one
   * element for each slice. Nothing may be in flight.
   */
  divide(parts: readonly Parts[]): Promise<void>;
  /** Warms up each worker, sequentially: runs `inputs`, in the slice's order, through the slice of this key. Returns the first worker's answer. */
  probe(slice: string, inputs: readonly Tensor[]): Promise<Probed>;
  /** Runs the first slice on all workers at once; returns the microseconds of every run. */
  time(ask: Ask<'time'>): Promise<number[]>;
  /** Infers the output shapes of `slice`, of the loaded model, for `inputs` in its order, without computing; `null` if the engine cannot. */
  infer(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null>;
  /** From now on the workers compute all steps of pool number `pool` of the arena's route; whichever is free first takes a slot. */
  attach(arena: Arena, pool: number): Promise<void>;
  /** Ends that, after slots that workers hold are computed. To be called before another `attach`. */
  detach(): Promise<void>;
  /** Why the slot of this index FAILED in this pool; may be read once. */
  failureOf(slot: number): TandemError;
  /** After TANDEM_STAGE_DIED and TANDEM_STAGE_TIMEOUT: starts replacements and replays the earlier calls. If it rejects, the pool has ended. */
  restart(): Promise<void>;
  /** The first worker computes the shapes of a whole model's tensors; needs no `load`. */
  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>>;
  /** The memory of the stage's own process; `null` if it has none. `restart` resets the peak after the answer. */
  memory(options?: { readonly restart?: boolean }): Promise<ResidentMemory | null>;
  /** Ends the workers; pending calls reject. */
  close(): Promise<void>;
}
