/** The arena: all slots, a bell for each pool of a stage, and the only back-pressure there is: `claim` waits while every slot is taken. */

import type { TandemError } from '../errors.js';
import { BELL_WORDS, Bell } from './bell.js';
import { ALIGNMENT, arenaBytes, bellCounts, bellsAt, type Layout, type Region } from './layout.js';
import { memoryAt, type Place, sharedMemory } from './memory.js';
import { Slot } from './slot.js';

/** Milliseconds that a worker stays awake for a slot that is announced: as long as it takes to store some 50 MB. */
const STORE_LIMIT = 10;

/** Microseconds through all stages from which on a result is not kept waiting for the next: beside them nothing costs much. */
const WAITED_FOR = 1_000_000;

export class Arena {
  /** Where other threads find it. */
  readonly place: Place;
  readonly layout: Layout;
  readonly slots: readonly Slot[];
  /** For each stage those of its pools, rung for each slot that is READY(j) for the pool; the last when one is DONE or FAILED. */
  readonly #bells: readonly (readonly Bell[])[];
  readonly #regions: ReadonlyMap<string, Region>;
  readonly #waiting: Claim[] = [];
  /** By slot: who is to be told when it has settled. */
  readonly #awaited: ((() => void) | undefined)[] = [];
  #listening = false;
  #closed: TandemError | undefined;

  /** Without a place in new memory of this process. Errors as of `sharedMemory` and `memoryAt`. */
  constructor(layout: Layout, place: Place = { memory: sharedMemory(arenaBytes(layout)) }) {
    const { buffer, workers, coordinator } = memoryAt(place, arenaBytes(layout));
    this.layout = layout;
    this.place = place;
    let at = bellsAt(layout) - ALIGNMENT;
    this.#bells = bellCounts(layout).map((count, stage) =>
      Array.from({ length: count }, () => {
        at += ALIGNMENT;
        return new Bell(new Int32Array(buffer, at, BELL_WORDS), stage < layout.stages ? workers : coordinator);
      }),
    );
    this.slots = Array.from({ length: layout.slots }, (_, index) => new Slot(buffer, layout, index, this.#bells));
    this.#regions = new Map(layout.regions.map((region) => [region.name, region]));
  }

  get bytes(): number {
    return arenaBytes(this.layout);
  }

  /** Slots that hold a micro-batch now. */
  get inFlight(): number {
    return this.slots.filter(({ state: { state } }) => state !== 'FREE' && state !== 'FILLING').length;
  }

  region(name: string): Region {
    return this.#regions.get(name)!;
  }

  /** A FILLING slot, as soon as there is one; first come, first served. Throws why the arena has been closed. */
  async claim(): Promise<Slot> {
    if (this.#closed) throw this.#closed;
    const free = this.slots.find((slot) => slot.claim());
    return free ?? new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Takes a slot back and hands it to whoever waits longest. */
  release(slot: Slot): void {
    if (this.#closed) return;
    slot.release();
    const next = this.#waiting.shift();
    if (next) {
      slot.claim();
      next.resolve(slot);
    }
  }

  /**
   * Its memory is about to go: who waits for a slot, to claim it or for it to settle, is told now, and what the slots say counts no more. Only for
   * the side that `halt`s.
   */
  close(reason: TandemError): void {
    this.#closed ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closed);
    for (const tell of this.#awaited.splice(0)) tell?.();
  }

  /** Why nothing of it may be read or written any more. */
  get closed(): TandemError | undefined {
    return this.#closed;
  }

  /**
   * The earliest micro-batch that is ready for the pool `turn` of `stage`, accepted for `worker`, whose thread blocks until there is one;
   * `null` once the pool has been halted. Not for the coordinator's thread.
   */
  accept(stage: number, worker: number, turn = 0): Slot | null {
    const bell = this.#bells[stage]![turn]!;
    while (!bell.halted) {
      const seen = bell.count;
      const ready = this.#earliestReady(stage, turn);
      if (ready) {
        if (!ready.tryAccept(stage, worker, turn)) continue;
        if (this.slots.some(({ isDone }) => isDone)) this.#callCoordinator();
        return ready;
      } else if (!(this.slots.some((slot) => slot.isComing(stage, turn)) && bell.watch(seen, STORE_LIMIT))) {
        bell.wait(seen);
      }
    }
    return null;
  }

  /** A worker of `stage` gives its slot away. */
  advance(slot: Slot, stage: number): void {
    const took = slot.ran(stage).finishedAt - slot.ran(0).acceptedAt;
    slot.advance(stage);
    if (stage + 1 < this.layout.stages) return;
    if (took > WAITED_FOR) this.#bells.at(-1)![0]!.ring();
    else this.#callCoordinator();
  }

  /**
   * For slots that are DONE. To be woken costs the coordinator more than all that it does then, so it sleeps on while
   * something lies ready for each pool of the first stage, or two micro-batches (half of the slots, if they are many) for later ones, which
   * are the slower then. Who accepts any of that calls again.
   */
  #callCoordinator(): void {
    const hasWork = (_: Bell, turn: number) => this.slots.some((slot) => slot.isReady(0, turn));
    const later = this.slots.filter(({ state: { state, stage } }) => state === 'READY' && stage > 0).length;
    const isFed = this.#bells[0]!.every(hasWork) || later >= Math.max(2, this.slots.length / 2 - 1);
    if (!isFed) this.#bells.at(-1)![0]!.ring();
  }

  /** Nobody takes what comes to the pool `turn` of `stage` any more; it fails there. */
  halt(stage: number, turn = 0): void {
    this.#bells[stage]![turn]!.halt();
    this.look();
  }

  /** Calls `tell` once, when the slot is DONE or FAILED. Only for the one side that `halt`s, once at a time for a slot. */
  whenSettled(slot: Slot, tell: () => void): void {
    if (this.#closed) {
      tell();
      return;
    }
    this.#awaited[slot.index] = tell;
    if (this.#listening) {
      this.#lookAt(slot);
    } else {
      this.#listening = true;
      this.#bells.at(-1)![0]!.listen(() => this.look());
    }
  }

  /** Tells of all slots that have settled. Only for the coordinator, where it hears that some may have. */
  look(): void {
    for (const slot of this.slots) this.#lookAt(slot);
  }

  #lookAt(slot: Slot): void {
    const tell = this.#awaited[slot.index];
    if (!tell) return;
    if (slot.isSettled) {
      this.#awaited[slot.index] = undefined;
      tell();
    } else this.#failIfStranded(slot);
  }

  /** Where nobody takes it any more. Failing rings, which is heard here. */
  #failIfStranded(slot: Slot): void {
    const { state, stage } = slot.state;
    if (state === 'READY' && this.#bells[stage]![slot.turn(stage)]!.halted) slot.fail(stage);
  }

  #earliestReady(stage: number, turn: number): Slot | undefined {
    let earliest: Slot | undefined;
    for (const slot of this.slots) {
      if (slot.isReady(stage, turn) && (!earliest || slot.microBatch < earliest.microBatch)) earliest = slot;
    }
    return earliest;
  }
}

interface Claim {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (reason: TandemError) => void;
}
