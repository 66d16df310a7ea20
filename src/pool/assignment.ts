/** A pool's assignment: its index in an arena's route, the slots that its workers hold, and why some have failed. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import type { TandemError } from '../errors.js';

/** A slot that a worker holds, or held when it died, and the step that it computes. */
export interface Held {
  readonly slot: Slot;
  readonly step: number;
}

export class Assignment {
  readonly arena: Arena;
  /** Its index among the pools of the arena's route. */
  readonly pool: number;

  constructor(arena: Arena, pool: number) {
    this.arena = arena;
    this.pool = pool;
  }

  /** The slot, if a worker of the pool holds it; else nothing. */
  held(slot: Slot): Held[] {
    const step = slot.runningIn(this.pool);
    return step === null ? [] : [{ slot, step }];
  }

  /** All slots that workers hold. */
  get running(): Held[] {
    return this.arena.slots.flatMap((slot) => this.held(slot));
  }

  /** Milliseconds since the oldest of them was accepted; 0 if there is none. */
  get runningFor(): number {
    return Math.max(0, ...this.arena.slots.map((slot) => slot.runningFor(this.pool)));
  }

  /** Whether its workers may wait, although a slot is READY for them, until another pool has computed more of the block. */
  get waitsForBlock(): boolean {
    const { layout, slots } = this.arena;
    const rotates = layout.steps.some((step) => step.rotates && step.pools.includes(this.pool));
    return rotates && slots.some(({ state }) => state.state === 'RUNNING');
  }

  halt(): void {
    this.arena.halt(this.pool);
  }
}

/** By index of the slot, why it FAILED in a pool. */
export class Failures {
  readonly #reasons = new Map<number, TandemError>();

  /**
   * RUNNING -> FAILED, for a worker that failed, hangs or died. Returns whether any slot failed: a worker may have given its slot away since
   * `held` was read.
   */
  add(held: readonly Held[], reason: TandemError): boolean {
    let any = false;
    for (const { slot, step } of held) {
      // Before the slot fails, since the coordinator asks for the reason during `fail`.
      this.#reasons.set(slot.index, reason);
      if (slot.fail(step)) any = true;
      else this.#reasons.delete(slot.index);
    }
    return any;
  }

  /** Removes the reason and returns it. */
  take(slot: number): TandemError | undefined {
    const reason = this.#reasons.get(slot);
    this.#reasons.delete(slot);
    return reason;
  }
}
