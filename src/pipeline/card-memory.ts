/** The memory that the stages of a plan hold on cards, as the drivers report it: by process, or what a card's use has grown by since before they were loaded. */
import { parseDevice } from '../engine/device.js';
import type { Card } from '../machine/cards/card.js';
import { bytesOnCard } from '../machine/cards/card-use.js';
import { readCards } from '../machine/cards/cards.js';
import type { Plan } from '../plan/plan.js';

/** The memory of stages that cannot be measured separately: those of one process, or all on a card that reports no processes. */
export interface HeldOnCard {
  readonly stages: readonly number[];
  readonly bytes: number;
}

export class CardMemory {
  readonly #stages: Plan['stages'];
  readonly #read: () => readonly Card[];
  /** Bytes in use before loading, by the card's number. */
  readonly #before: ReadonlyMap<number, number>;

  /** To be made before the stages are loaded. `read` gives the cards as they are now. */
  constructor({ stages }: Pick<Plan, 'stages'>, read: () => readonly Card[] = readCards) {
    this.#stages = stages;
    this.#read = read;
    this.#before = new Map(this.#cards().map(([index, card]) => [index, usedOf(card)]));
  }

  /** `pids` are the processes of the stages. Stages on the CPU, and on cards whose drivers report nothing, are left out. */
  held(pids: readonly (number | null)[]): HeldOnCard[] {
    return this.#cards().flatMap(([index, card]) => {
      const on = this.#on(index);
      const pidOf = (j: number) => pids[j] ?? process.pid;
      const found = [...new Set(on.map(pidOf))].map((pid) => ({
        stages: on.filter((j) => pidOf(j) === pid),
        bytes: bytesOnCard(card, pid),
      }));
      if (found.every(({ bytes }) => bytes !== null)) return found as HeldOnCard[];
      const grown = card.memory ? usedOf(card) - (this.#before.get(index) ?? 0) : 0;
      return grown > 0 ? [{ stages: on, bytes: grown }] : [];
    });
  }

  /** The cards that stages are on. */
  #cards(): [number, Card][] {
    const wanted = new Set(
      this.#stages.flatMap(({ device }, j) => (this.#isOnCard(j) ? [parseDevice(device).index] : [])),
    );
    if (wanted.size === 0) return [];
    return [...this.#read().entries()].filter(([index]) => wanted.has(index));
  }

  #on(index: number): number[] {
    return [...this.#stages.keys()].filter(
      (j) => this.#isOnCard(j) && parseDevice(this.#stages[j]!.device).index === index,
    );
  }

  #isOnCard(j: number): boolean {
    return parseDevice(this.#stages[j]!.device).kind === 'gpu';
  }
}

function usedOf({ memory }: Card): number {
  return memory ? memory.total - memory.free : 0;
}
