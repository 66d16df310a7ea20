/** The budget: bytes that stages may hold, and the error if nothing fits. */
import { parseDevice } from '../engine/device.js';
import { TandemError } from '../errors.js';
import type { Card } from '../machine/cards/card.js';
import { knownCards, readCards } from '../machine/cards/cards.js';
import { readMachine } from '../machine/machine.js';

/** The memory requirement: how many bytes would suffice, and which budget is too small. */
export interface Requirement {
  /** The stage whose budget is too small; `null` if it is the budget of each stage, or of all together. */
  readonly stage: number | null;
  /** Infinite if there are too few cut points. */
  readonly bytes: number;
  /** Bytes that may be used; `null` if all stages together may use the free memory. */
  readonly given: number | null;
}

/** Memory that is left free: for the coordinator, the system, and what grows while a job runs. */
const MARGIN = { share: 0.05, atLeast: 256 * 2 ** 20 };

/** The same on a card that a screen is connected to: what is drawn takes memory at any time. */
const DISPLAY_MARGIN = { share: 0.05, atLeast: 512 * 2 ** 20 };

/** An integrated card takes the machine's memory, which CPU stages need as well. */
const SHARE_OF_INTEGRATED = 0.5;

/**
 * Free memory minus the margin: of the machine, or of its control group if that is smaller; of a card, as its driver reports it. Infinite for
 * a card whose driver reports no memory.
 */
export function freeBudget(device: string): number {
  const { kind, index } = parseDevice(device);
  if (kind === 'cpu') return less(readMachine().memory.free, MARGIN);
  const card = readCards()[index];
  if (card?.kind === 'integrated') return SHARE_OF_INTEGRATED * less(readMachine().memory.free, MARGIN);
  return card?.memory ? less(card.memory.free, card.hasDisplay ? DISPLAY_MARGIN : MARGIN) : Infinity;
}

function less(free: number, { share, atLeast }: typeof MARGIN): number {
  return Math.max(0, free - Math.max(atLeast, share * free));
}

/** `freeBudget`, read once for each device, so that all plans of one search have the same budget. */
export function freeBudgets(): (device: string) => number {
  const known = new Map<string, number>();
  return (device) => {
    if (!known.has(device)) known.set(device, freeBudget(device));
    return known.get(device)!;
  };
}

/** Stages on one card share it: their budgets must fit into it together. Throws TANDEM_PLAN_IMPOSSIBLE. */
export function checkTogether(
  stages: readonly { readonly device: string; readonly memory?: number | undefined }[],
  cards: () => readonly Card[] = knownCards,
): void {
  const named = stages.filter(({ device, memory }) => memory !== undefined && parseDevice(device).kind === 'gpu');
  for (const index of new Set(named.map(({ device }) => parseDevice(device).index))) {
    const own = named.filter(({ device }) => parseDevice(device).index === index);
    if (own.length < 2) continue;
    const total = cards()[index]?.memory?.total ?? Number.POSITIVE_INFINITY;
    const together = own.reduce((sum, { memory = 0 }) => sum + memory, 0);
    if (together <= total) continue;
    throw new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `${own.length} stages on ${own[0]!.device} may hold ${mebibytes(together)} together; the card has ${mebibytes(total)}`,
      { remedy: `one card has one budget: give them memory=${mebibytes(total / own.length - 2 ** 19)} each, or less` },
    );
  }
}

/**
 * `free` for a plan with these stages: those on one card that have no budget of their own share what the others leave, in equal parts.
 * CPU stages share the machine's memory as a whole, which the partition sees to.
 */
export function sharedOnCards(
  free: (device: string) => number,
  stages: readonly { readonly device: string; readonly memory?: number | undefined }[],
): (device: string) => number {
  return (device) => {
    const { kind, index } = parseDevice(device);
    if (kind === 'cpu') return free(device);
    const own = stages.filter(
      (stage) => parseDevice(stage.device).kind === 'gpu' && parseDevice(stage.device).index === index,
    );
    const named = own.reduce((sum, { memory = 0 }) => sum + memory, 0);
    const open = own.filter(({ memory }) => memory === undefined).length;
    return Math.max(0, free(device) - named) / Math.max(1, open);
  };
}

/** Bytes as text for `memory=`; rounded up, so that it suffices. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)}MiB`;
}

/** TANDEM_PLAN_IMPOSSIBLE with the smallest budget that would suffice. */
export function noFit(what: string, { stage, bytes, given }: Requirement): TandemError {
  const where = stage !== null ? `stage ${stage}` : given === null ? 'all its stages together' : 'its largest stage';
  const enough = mebibytes(bytes);
  const limit = given === null ? `${mebibytes(freeBudget('cpu'))} is free` : `${mebibytes(given)} may be used`;
  const more = given === null ? 'free some memory' : `give ${stage === null ? 'each stage' : 'it'} memory=${enough}`;
  return new TandemError('TANDEM_PLAN_IMPOSSIBLE', `${what} needs ${enough} in ${where}; ${limit}`, {
    remedy: `${more}, or use more stages, a smaller --micro-batch or a smaller --depth`,
  });
}

/** Whether any stage has a budget of its own. */
export function hasBudget(stages: readonly { readonly memory?: number | undefined }[]): boolean {
  return stages.some(({ memory }) => memory !== undefined);
}
