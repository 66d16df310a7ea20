/** The engine seam for decoders: a slice that keeps the state of its layers for a number of sequences, each in a slot. */
import type { DecoderSlice } from '../model/decoder/cut.js';
import type { DecoderNames } from '../model/decoder/facts.js';
import type { Tensor } from '../tensor.js';

/**
 * How a stage keeps state. `in-place`: rows of a visit are consecutive slots, and new keys and values are written behind the old ones;
 * `by-row`: each visit has one slot, whose state the engine hands out anew.
 */
export type StateForm = 'in-place' | 'by-row';

/** What a stage of a decoder holds. */
export interface DecoderHold {
  readonly slice: DecoderSlice;
  readonly names: DecoderNames;
  /** The names of what each stage is given. */
  readonly given: { readonly ids: string; readonly mask: string | null; readonly positions: string | null };
  readonly form: StateForm;
  /** Whether attention over a grown cache is replaced by attention over a cache in place. */
  readonly rewritten: boolean;
  /** Sequences that have their state here. */
  readonly slots: number;
  /** Most tokens of a sequence. */
  readonly maxLength: number;
}

/** New tokens of the sequences in consecutive slots go through a stage. */
export interface StageVisit {
  readonly firstSlot: number;
  /** By row: tokens that the stage has seen of the sequence; 0 begins a new one. */
  readonly lengths: readonly number[];
  /** By row: whether its sequence takes part. The others' state stays. */
  readonly live: readonly boolean[];
  /** New tokens of each row. */
  readonly tokens: number;
  /** Token ids, rows x tokens; zeros for rows that take no part. */
  readonly ids: readonly number[];
  /** What the stage before has handed on, as `slice.inputs`. */
  readonly carried: readonly Tensor[];
}

/** A slice of a decoder that is ready. */
export interface LoadedDecoderSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  /** Bytes of the state of all slots. */
  readonly stateBytes: number;
  /**
   * As `slice.outputs`; logits are those of each row's last new token: [rows, vocabulary]. The result belongs to the caller.
   * Throws coded errors: TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY.
   */
  visit(visit: StageVisit): Promise<Tensor[]>;
  dispose(): Promise<void>;
}
