/** What a run's summary has of a card: its memory, what slowed it down, and whether it became slower while the run lasted. */
import type { CardWatched } from '../pipeline/card-watch.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { sum } from '../sums.js';

/** Bytes and rows a second; `null` for what its driver does not report. */
export interface CardSummary extends CardWatched {
  /**
   * Rows for each second in which its stages computed, at the beginning and at the end of the run: of 30 seconds each, of a quarter in a run
   * shorter than two minutes. `null` where that cannot be compared: a short run, or rows that differ in length.
   */
  readonly pace: { readonly first: number; readonly last: number } | null;
  /** What a person should know, in words; empty if all was well. */
  readonly notes: readonly string[];
}

/** The first part of a run is left out: engines prepare in it. */
const PREPARING = 0.05;
const LONGEST_PART_SECONDS = 30;
/** A run with fewer micro-batches, or a shorter one, has no pace to compare. */
const FEWEST_MICRO_BATCHES = 32;
const SHORTEST_SECONDS = 1;

/** A card that computes this much slower in the end is noted; below it is what a busy machine does. */
const SLOWER = 1.25;
/** The share of the card's memory. */
const NOTED_TAKEN = 0.02;
const FULL = 0.03;
/** The share of the run. */
const NOTED_THROTTLED = 0.1;

export function cardSummaries(watched: readonly CardWatched[], pipeline: Pipeline): CardSummary[] {
  return watched.map((card) => {
    const pace = paceOf(pipeline, card.stages);
    return { ...card, pace, notes: notesOf(card, pace) };
  });
}

function paceOf({ timeline, plan }: Pipeline, stages: readonly number[]): CardSummary['pace'] {
  const { intervalSeconds, rows, busySeconds } = timeline.pace;
  const microBatches = Math.max(...timeline.uses().map((use) => use.microBatches));
  const seconds = rows.length * intervalSeconds;
  if (plan.lengths || microBatches < FEWEST_MICRO_BATCHES || seconds < SHORTEST_SECONDS) return null;
  const lanes = timeline.lanes.flatMap(({ stage }, lane) => (stages.includes(stage) ? [lane] : []));
  const from = Math.ceil(PREPARING * rows.length);
  const part = Math.floor(Math.min((rows.length - from) / 4, LONGEST_PART_SECONDS / intervalSeconds));
  const rate = (begin: number, end: number) => {
    const busy = sum(lanes.map((lane) => sum(busySeconds[lane]!.slice(begin, end))));
    return busy > 0 ? sum(rows.slice(begin, end)) / busy : 0;
  };
  const [first, last] = [rate(from, from + part), rate(rows.length - part, rows.length)];
  return first > 0 && last > 0 ? { first, last } : null;
}

function notesOf(card: CardWatched, pace: CardSummary['pace']): string[] {
  const { device, totalBytes, leastFreeBytes, takenByOthersBytes, throttled, atPowerLimit } = card;
  const notes: string[] = [];
  const isFull = totalBytes !== null && leastFreeBytes !== null && leastFreeBytes < FULL * totalBytes;
  if (totalBytes !== null && takenByOthersBytes !== null && takenByOthersBytes >= NOTED_TAKEN * totalBytes) {
    const left = `at least ${gibibytes(leastFreeBytes ?? 0)} of ${gibibytes(totalBytes)} stayed free`;
    notes.push(`other programs took ${gibibytes(takenByOthersBytes)} of ${device} while this ran; ${left}`);
  }
  const held = throttled.filter(({ share }) => share >= NOTED_THROTTLED);
  for (const { reason, share } of held)
    notes.push(`the driver held ${device} back in ${percent(share)} of the time: ${reason}`);
  if (pace && pace.first >= SLOWER * pace.last) {
    const slower = `${device} computed ${(pace.first / pace.last).toFixed(1)} times slower at the end than at the beginning`;
    notes.push(`${slower}: ${whySlower(held.length > 0, isFull, atPowerLimit >= NOTED_THROTTLED)}`);
  }
  return notes;
}

function whySlower(isThrottled: boolean, isFull: boolean, atPowerLimit: boolean): string {
  if (isThrottled) return 'it was held back';
  // Windows does so without any error; about 10 times slower.
  if (isFull)
    return "its memory was full, and drivers then move some of it into the machine's memory; give it less by memory=";
  if (atPowerLimit) return 'it worked at its power limit';
  return 'its driver reports no reason; other programs may compute on it';
}

function gibibytes(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
