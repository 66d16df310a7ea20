/** Watches the cards of a run while it lasts: what others take of their memory, how little was left, and what slowed them down. */
import { parseDevice } from '../engine/device.js';
import type { Card } from '../machine/cards/card.js';
import { type CardState, stateOf } from '../machine/cards/card-state.js';
import { bytesOnCard } from '../machine/cards/card-use.js';
import { knownCards } from '../machine/cards/cards.js';
import type { Plan } from '../plan/plan.js';

/** What was seen of a card during a run; `null` for what its driver does not report. */
export interface CardWatched {
  /** `gpu`, `gpu:1`. */
  readonly device: string;
  readonly name: string;
  /** The stages that are on it. */
  readonly stages: readonly number[];
  readonly totalBytes: number | null;
  /** The most that its stages held. */
  readonly heldBytes: number | null;
  readonly leastFreeBytes: number | null;
  /** The most that other programs have taken since the run began. */
  readonly takenByOthersBytes: number | null;
  /** What held its clock down, with the share of the run. */
  readonly throttled: readonly { readonly reason: string; readonly share: number }[];
  /** The share of the run in which it worked at its power limit. */
  readonly atPowerLimit: number;
}

/** Milliseconds from one look to the next: a look takes microseconds. */
const INTERVAL_MS = 500;

export interface CardWatchOptions {
  readonly plan: Pick<Plan, 'stages'>;
  /** By stage its process; `null` for a stage that runs in this one. */
  readonly pids: () => readonly (number | null)[];
  readonly cards?: readonly Card[];
  readonly state?: (card: Card) => CardState | null;
  readonly held?: (card: Card, pid: number) => number | null;
}

export class CardWatch implements Disposable {
  readonly #seen: readonly OneCard[];
  readonly #timer: NodeJS.Timeout | null;

  /** Looks at once, and then twice a second: to be made when the stages are loaded and warm. */
  constructor({ plan, pids, cards = knownCards(), state = stateOf, held = bytesOnCard }: CardWatchOptions) {
    const used = new Map<number, number[]>();
    for (const [j, { device }] of plan.stages.entries()) {
      const { kind, index } = parseDevice(device);
      if (kind === 'gpu' && cards[index]) used.set(index, [...(used.get(index) ?? []), j]);
    }
    const heldBy = (card: Card, stages: readonly number[]) => {
      const own = [...new Set(stages.map((j) => pids()[j] ?? process.pid))].map((pid) => held(card, pid));
      return own.every((bytes) => bytes !== null) ? own.reduce((sum, bytes) => sum + bytes, 0) : null;
    };
    this.#seen = [...used].map(
      ([index, stages]) =>
        new OneCard(
          cards[index]!,
          index,
          stages,
          () => state(cards[index]!),
          () => heldBy(cards[index]!, stages),
        ),
    );
    this.look();
    this.#timer = this.#seen.length === 0 ? null : setInterval(() => this.look(), INTERVAL_MS).unref();
  }

  look(): void {
    for (const card of this.#seen) card.look();
  }

  /** What was seen so far, with a last look. Cards whose drivers report nothing are left out. */
  get watched(): CardWatched[] {
    this.look();
    return this.#seen.flatMap((card) => card.watched ?? []);
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearInterval(this.#timer);
  }
}

class OneCard {
  readonly #card: Card;
  readonly #index: number;
  readonly #stages: readonly number[];
  readonly #state: () => CardState | null;
  readonly #heldNow: () => number | null;
  #looks = 0;
  #total: number | null = null;
  #held: number | null = null;
  #leastFree: number | null = null;
  /** Bytes that others had at the first look. */
  #othersBefore: number | null = null;
  #taken: number | null = null;
  readonly #throttled = new Map<string, number>();
  #atPowerLimit = 0;

  constructor(
    card: Card,
    index: number,
    stages: readonly number[],
    state: () => CardState | null,
    held: () => number | null,
  ) {
    this.#card = card;
    this.#index = index;
    this.#stages = stages;
    this.#state = state;
    this.#heldNow = held;
  }

  look(): void {
    const state = this.#state();
    if (state === null) return;
    this.#looks += 1;
    for (const reason of state.throttled) this.#throttled.set(reason, (this.#throttled.get(reason) ?? 0) + 1);
    this.#atPowerLimit += state.atPowerLimit ? 1 : 0;
    const { memory } = state;
    if (memory === null) return;
    const held = this.#heldNow();
    if (held !== null) this.#held = Math.max(held, this.#held ?? 0);
    this.#total = memory.total;
    this.#leastFree = Math.min(memory.free, this.#leastFree ?? Number.POSITIVE_INFINITY);
    // Where the driver does not count by process, what stages hold once they are warm is taken as constant.
    const others = memory.total - memory.free - (held ?? 0);
    this.#othersBefore ??= others;
    this.#taken = Math.max(0, this.#taken ?? 0, others - this.#othersBefore);
  }

  get watched(): CardWatched | null {
    if (this.#looks === 0) return null;
    return {
      device: this.#index === 0 ? 'gpu' : `gpu:${this.#index}`,
      name: this.#card.name,
      stages: this.#stages,
      totalBytes: this.#total,
      heldBytes: this.#held,
      leastFreeBytes: this.#leastFree,
      takenByOthersBytes: this.#taken,
      throttled: [...this.#throttled].map(([reason, looks]) => ({ reason, share: looks / this.#looks })),
      atPowerLimit: this.#atPowerLimit / this.#looks,
    };
  }
}
