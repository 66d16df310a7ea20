/** The pool seam: the workers of one stage, wherever they live. */
import type { Arena } from '../arena/arena.js';
import type { EngineName, EngineOptions } from '../engine/engine.js';
import type { TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import type { Answer, Ask, Loaded, Probed } from './protocol.js';
import type { ResidentMemory } from './resident-memory.js';

export interface PoolOptions {
  readonly device: string;
  readonly engine: EngineName;
  readonly engineOptions: EngineOptions;
  readonly workers: number;
  /** The file of the model that the first slice will be of, which workers may read ahead. */
  readonly model?: string;
  /** Milliseconds that a worker may take for one micro-batch before it counts as hung. */
  readonly deadline: number;
  /** Milliseconds that loading, warming up or describing may take; default 30 minutes. */
  readonly prepareDeadline?: number;
}

/** A large model on a slow disk takes long to load, but not for ever. */
export const PREPARE_DEADLINE = 30 * 60_000;

/**
 * Calls come in this order: load, probe or time, attach, close. All reject with coded errors, a slot that cannot be computed is FAILED
 * with one, and nothing hangs: TANDEM_STAGE_DIED when the worker is gone, TANDEM_STAGE_TIMEOUT past the deadline, TANDEM_CLOSED after close.
 */
export interface Pool {
  readonly options: PoolOptions;
  /** Starts the workers and loads the slice in each, one after another. A second call puts another slice in the first one's place. */
  load(slice: Slice): Promise<Loaded>;
  /**
   * Loads the slice anew, into workers that compute at most so many rows at once, fewer where there is no memory for these, and put
   * together what comes out. For a stage whose inputs and outputs all follow the rows; with nothing under way.
   */
  divide(rowsAtOnce: number): Promise<void>;
  /** Runs `inputs` (in the order of `slice.inputs`) through each worker in turn: warm-up, and the first one's answer. */
  probe(inputs: readonly Tensor[]): Promise<Probed>;
  /** Computes on zeros on all workers at once; the microseconds of every run. */
  time(ask: Ask<'time'>): Promise<number[]>;
  /** What `slice`, of the model that is loaded, makes of such inputs (in its own order), without computing; `null` where only `probe` can tell. */
  foresee(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null>;
  /**
   * From now on the workers compute whatever comes to `stage` in the slots of `arena`, on whichever is free first; where several pools
   * serve the stage, what it is this one's `turn` to take.
   */
  attach(stage: number, arena: Arena, turn?: number): Promise<void>;
  /** From now on they do not; what they have begun is finished first. Before another `attach`. */
  detach(): Promise<void>;
  /** Why the slot of this number is FAILED in this stage; to be asked once. */
  failureOf(slot: number): TandemError;
  /** After TANDEM_STAGE_DIED and TANDEM_STAGE_TIMEOUT: brings replacements to where the lost were. Rejects when they cannot be had; the pool has ended then. */
  revive(): Promise<void>;
  /** What a whole model's tensors are, computed by the first worker; needs no load. */
  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>>;
  /** What the stage's own process holds; `null` when it has none of its own. `restart` makes the peak begin anew, after the answer. */
  memory(options?: { readonly restart?: boolean }): Promise<ResidentMemory | null>;
  /** Ends the workers; waiting calls reject. */
  close(): Promise<void>;
}
