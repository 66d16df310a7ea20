/** How tokens are chosen: the settings of a job, each of which a row may give itself, and what they may be. */
import { grouped } from '../../grouped-digits.js';

export interface SamplingSettings {
  /** 0 takes the likeliest token; above it, logits are divided by it. */
  readonly temperature: number;
  /** Only so many likeliest tokens; 0 for all. */
  readonly topK: number;
  /** The fewest likeliest tokens whose probabilities add up to this; 1 for all. */
  readonly topP: number;
  /** Only tokens at least this share as probable as the likeliest; 0 for all. */
  readonly minP: number;
  /** Logits of tokens of the prompt and the answer are divided by it where positive, multiplied where negative; 1 changes nothing. */
  readonly repetitionPenalty: number;
  /** Taken once from the logit of a token that the answer has. */
  readonly presencePenalty: number;
  /** Taken from the logit of a token for each time that the answer has it. */
  readonly frequencyPenalty: number;
  /** Added to logits, by token id. */
  readonly logitBias: Readonly<Record<string, number>>;
  /** New tokens at most; `null` for as many as the model's length leaves. */
  readonly maxTokens: number | null;
  /** The answer ends before the first of these texts. */
  readonly stop: readonly string[];
  /** The answer ends with one of these tokens, besides those that the model's files name. */
  readonly stopIds: readonly number[];
  /** Whether tokens that the model's files name as the end do not end the answer. */
  readonly ignoreEos: boolean;
  /** Answers to each row. */
  readonly n: number;
  /** `null` without log probabilities; else of the token itself and so many of the likeliest. */
  readonly logprobs: number | null;
  readonly seed: number;
}

/** What neither the model's files nor the user says. */
export const PLAIN_SAMPLING: SamplingSettings = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: {},
  maxTokens: null,
  stop: [],
  stopIds: [],
  ignoreEos: false,
  n: 1,
  logprobs: null,
  seed: 0,
};

/** Answers to one row, at most. */
export const MOST_CHOICES = 128;
/** Of the likeliest tokens, as OpenAI has it. */
export const MOST_LOGPROBS = 20;
/** Stop texts of a row, at most. */
const MOST_STOPS = 64;

type Check = (value: unknown) => string | null;

/** By setting, what is wrong with a value, in words that follow its name; `null` if nothing is. */
const CHECKS: { readonly [K in keyof SamplingSettings]: Check } = {
  temperature: between(0, 100),
  topK: whole(0, 1e9),
  topP: (value) => (isNumber(value) && value > 0 && value <= 1 ? null : 'is more than 0 and at most 1'),
  minP: between(0, 1),
  repetitionPenalty: (value) => (isNumber(value) && value > 0 && value <= 100 ? null : 'is more than 0, at most 100'),
  presencePenalty: between(-2, 2),
  frequencyPenalty: between(-2, 2),
  logitBias: biases,
  maxTokens: (value) => (value === null ? null : whole(1, 1e9)(value)),
  stop: stops,
  stopIds: (value) => (Array.isArray(value) && value.every(isId) ? null : 'is a list of token ids'),
  ignoreEos: (value) => (typeof value === 'boolean' ? null : 'is true or false'),
  n: whole(1, MOST_CHOICES),
  logprobs: (value) => (value === null ? null : whole(0, MOST_LOGPROBS)(value)),
  seed: (value) => (Number.isSafeInteger(value) ? null : 'is a whole number'),
};

/** What is wrong with the setting, for example `is from 0 to 2`; `null` if nothing is. */
export function wrongSetting(name: keyof SamplingSettings, value: unknown): string | null {
  return CHECKS[name](value);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function between(least: number, most: number): Check {
  return (value) => (isNumber(value) && value >= least && value <= most ? null : `is from ${least} to ${most}`);
}

function whole(least: number, most: number): Check {
  return (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? null
      : `is a whole number from ${least} to ${grouped(most)}`;
}

function biases(value: unknown): string | null {
  const problem = 'gives numbers from -100 to 100 by token id';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return problem;
  const fits = Object.entries(value).every(([id, bias]) => /^\d{1,9}$/.test(id) && between(-100, 100)(bias) === null);
  return fits ? null : problem;
}

function stops(value: unknown): string | null {
  if (!Array.isArray(value) || !value.every((text) => typeof text === 'string' && text !== '')) {
    return 'is a list of texts, none of them empty';
  }
  return value.length <= MOST_STOPS ? null : `has more than ${MOST_STOPS} texts`;
}
