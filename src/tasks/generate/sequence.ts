/** Sequences of tokens that a decoder continues: what is asked of it, and what it hands back. Between token ids and logits nothing else is known. */

import type { TandemError } from '../../errors.js';

/** A token that was chosen. */
export interface SampledToken {
  readonly id: number;
  /** Natural logarithm of its probability, where it was asked for. */
  readonly logprob?: number;
  /** The likeliest tokens in its place, likeliest first. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[];
  /** Why the sequence ends with this token; null where it goes on. */
  readonly finish: 'stop' | 'length' | null;
}

/** Chooses the next token of one sequence. It lives with the coordinator and is asked in the order of the tokens. */
export interface Sampler {
  /** `logits`: [vocabulary], valid during the call only, and may be changed in place. */
  next(logits: Float32Array): SampledToken;
}

/** One prompt that is to be continued. */
export interface SequenceRequest {
  /** Number of the row; no two requests in flight have the same. */
  readonly row: number;
  /** Token ids, one at least. */
  readonly prompt: readonly number[];
  /** The sequence ends after so many new tokens at the latest, one at least. */
  readonly maxTokens: number;
  readonly sampler: Sampler;
}

/** What one run of a decoder did. */
export interface DecodeSummary {
  readonly sequences: number;
  /** Sequences that ended with an error. */
  readonly failed: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly seconds: number;
  /** Mean share of the slots that held a sequence while the run lasted, 0 to 1. */
  readonly slotsBusy: number;
  readonly stages: readonly DecodeStageSummary[];
}

/** What one stage of a decoder did during a run. */
export interface DecodeStageSummary {
  readonly stage: number;
  /** Time in which the stage computed prompts. */
  readonly prefillSeconds: number;
  /** Time in which it computed one token for each sequence of a group. */
  readonly decodeSeconds: number;
  /** Time in which it waited, while the run lasted. */
  readonly idleSeconds: number;
  /** Times a worker of this stage was started again. */
  readonly restarts: number;
}

/** The stages of a decoder-only model, loaded and ready. It runs one set of requests at a time. */
export interface Decoder {
  /** Length of the logits. */
  readonly vocabulary: number;
  /** Most tokens a sequence may have, prompt and answer together. */
  readonly maxLength: number;
  /** Sequences that are continued at the same time. */
  readonly slots: number;
  /**
   * Continues every request; resolves when each has ended.
   * `onToken` is called for each token in its order; `onDone` once a row, with why it failed or null. A row that
   * fails touches no other. Requests are taken from the source as slots become free.
   * Errors: what ends all rows rejects; an aborted `signal` rejects with its reason.
   */
  run(
    requests: AsyncIterable<SequenceRequest>,
    onToken: (row: number, token: SampledToken) => void,
    onDone: (row: number, failure: TandemError | null) => void,
    signal?: AbortSignal,
  ): Promise<DecodeSummary>;
  close(): Promise<void>;
}
