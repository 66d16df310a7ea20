/** What a decoder's stages need of memory, by token of the cache; and how many slots fit into their budgets. Computed before loading; `check-decoder-budgets` measures the warm stages. */
import { TandemError } from '../errors.js';
import type { DecoderSlice } from '../model/decoder/cut.js';
import { stateBytes } from '../model/decoder/facts.js';
import { bytesPerElement } from '../tensor.js';

/** What one stage needs, in bytes. */
export interface DecoderRequirement {
  /** The engine, its weights twice while they are packed, and the values between ops. */
  readonly base: number;
  /** The cache of one token. */
  readonly perToken: number;
  /** The state of one sequence of the greatest length. */
  readonly perSlot: number;
}

export interface MemoryShape {
  readonly maxLength: number;
  /** Most tokens of one visit's rows together. */
  readonly tokens: number;
  readonly vocabulary: number;
}

/** An empty process with ONNX Runtime. */
const ENGINE_BYTES = 110 * 2 ** 20;
/** Values between ops that are there at once, bytes a token: an assumption, 16 times 1,024 floats. It was not measured. */
const ACTIVATIONS_PER_TOKEN = 64 * 2 ** 10;
/**
 * onnxruntime-node copies every result, also those that it has written in place: a visit's state is there once more until the garbage
 * collector has freed it.
 */
const COPIES = 2;

export function requirementOf(slice: DecoderSlice, { maxLength, tokens, vocabulary }: MemoryShape): DecoderRequirement {
  const { token, sequence } = stateBytes(slice.pairs, bytesPerElement);
  const logits = slice.isLast ? 2 * 4 * vocabulary * tokens : 0;
  return {
    base: ENGINE_BYTES + 2 * slice.weightBytes + ACTIVATIONS_PER_TOKEN * tokens + logits,
    perToken: token,
    perSlot: (1 + COPIES) * (token * maxLength + sequence),
  };
}

/**
 * The most slots that fit, `wanted` at most. `memory` is the budget of each stage, `undefined` where it has none.
 * Throws TANDEM_PLAN_IMPOSSIBLE with the smallest budget that would do for `least` slots.
 */
export function slotsWithin(
  requirements: readonly DecoderRequirement[],
  memory: readonly (number | undefined)[],
  { wanted, least }: { readonly wanted: number; readonly least: number },
): number {
  let slots = wanted;
  for (const [stage, { base, perSlot }] of requirements.entries()) {
    const budget = memory[stage];
    if (budget === undefined) continue;
    const fit = Math.floor((budget - base) / Math.max(1, perSlot));
    if (fit < least) throw tooSmall(stage, budget, base + least * perSlot, least);
    slots = Math.min(slots, fit);
  }
  return slots;
}

function tooSmall(stage: number, budget: number, needed: number, least: number): TandemError {
  const [given, smallest] = [Math.floor(budget / 2 ** 20), Math.ceil(needed / 2 ** 20)];
  return new TandemError(
    'TANDEM_PLAN_IMPOSSIBLE',
    `stage ${stage} of the decoder may hold ${given}MiB; its weights and the cache of ${least} ${least === 1 ? 'sequence' : 'sequences'} need ${smallest}MiB`,
    { remedy: `use memory=${smallest}MiB for it, a smaller maximal length, or a stage with fewer layers` },
  );
}
