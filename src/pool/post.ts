/** A pool's post: the stage that it serves in an arena and its turn there, the slots that its workers have, and why some have failed. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import type { TandemError } from '../errors.js';

export class Post {
  readonly arena: Arena;
  readonly stage: number;
  readonly turn: number;

  constructor(arena: Arena, stage: number, turn: number) {
    this.arena = arena;
    this.stage = stage;
    this.turn = turn;
  }

  /** Whether a worker has the slot, or had it when it died. */
  has(slot: Slot): boolean {
    return slot.isRunning(this.stage) && slot.turn(this.stage) === this.turn;
  }

  /** All that workers have. */
  get running(): Slot[] {
    return this.arena.slots.filter((slot) => this.has(slot));
  }

  /** Milliseconds since the one that has been computed for the longest was accepted; 0 where there is none. */
  get runningFor(): number {
    return Math.max(0, ...this.running.map((slot) => slot.runningFor(this.stage)));
  }

  halt(): void {
    this.arena.halt(this.stage, this.turn);
  }
}

/** Why slots are FAILED in a pool's stage, by their number. */
export class Failures {
  readonly #reasons = new Map<number, TandemError>();

  /** RUNNING -> FAILED, for a worker that could not do it, hangs or is gone. */
  add({ stage }: Post, slots: readonly Slot[], reason: TandemError): void {
    for (const slot of slots) {
      this.#reasons.set(slot.index, reason);
      slot.fail(stage);
    }
  }

  /** To be asked once. */
  take(slot: number): TandemError | undefined {
    const reason = this.#reasons.get(slot);
    this.#reasons.delete(slot);
    return reason;
  }
}
