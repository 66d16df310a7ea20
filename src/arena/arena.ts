/** The arena: all slots and a wait queue for each pool. `claim`, which waits while every slot is taken, is the only back-pressure. */

import type { TandemError } from '../errors.js';
import { ALIGNMENT, arenaBytes, type Layout, type Region, waitQueuesAt } from './layout.js';
import { type ArenaHandle, memoryAt, sharedMemory } from './memory.js';
import { Slot } from './slot.js';
import { WAIT_QUEUE_WORDS, WaitQueue } from './wait-queue.js';

/** Milliseconds that a worker stays awake for an announced slot: the time it takes to store about 50 MB. */
const WATCH_LIMIT = 10;

/** A micro-batch that took at least so many microseconds is reported at once: a wake-up costs little compared with it. */
const LONG_MICRO_BATCH = 1_000_000;

export class Arena {
  /** How other threads and processes open the same arena. */
  readonly handle: ArenaHandle;
  readonly layout: Layout;
  readonly slots: readonly Slot[];
  /** By pool, notified when a slot is READY for it. The last one is the coordinator's, notified when a slot is DONE or FAILED. */
  readonly #waitQueues: readonly WaitQueue[];
  /** The pools that take the first step. */
  readonly #firstPools: readonly number[];
  readonly #regions: ReadonlyMap<string, Region>;
  readonly #waiting: Claim[] = [];
  /** By slot: the callback for when it settles. */
  readonly #onSettled: ((() => void) | undefined)[] = [];
  #listening = false;
  #closed: TandemError | undefined;

  /** `handle` defaults to new memory of this process. Throws the errors of `sharedMemory` and `memoryAt`. */
  constructor(layout: Layout, handle: ArenaHandle = { memory: sharedMemory(arenaBytes(layout)) }) {
    const { buffer, workers, coordinator } = memoryAt(handle, arenaBytes(layout));
    this.layout = layout;
    this.handle = handle;
    this.#firstPools = [...new Set(layout.steps[0]?.pools)];
    this.#waitQueues = Array.from({ length: layout.workers.length + 1 }, (_, pool) => {
      const words = new Int32Array(buffer, waitQueuesAt(layout) + pool * ALIGNMENT, WAIT_QUEUE_WORDS);
      return new WaitQueue(words, pool < layout.workers.length ? workers : coordinator);
    });
    this.slots = Array.from({ length: layout.slots }, (_, index) => new Slot(buffer, layout, index, this.#waitQueues));
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

  /** A FILLING slot, as soon as one is free; first come, first served. Throws the reason if the arena is closed. */
  async claim(): Promise<Slot> {
    if (this.#closed) throw this.#closed;
    const free = this.slots.find((slot) => slot.claim());
    return free ?? new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Frees a slot and gives it to the claim that has waited longest. */
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
   * Call it before the memory is released. Pending claims are rejected and pending `whenSettled` callbacks are called; the slots' states are no
   * longer read. Only for the coordinator's side.
   */
  close(reason: TandemError): void {
    this.#closed ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closed);
    for (const callback of this.#onSettled.splice(0)) callback?.();
  }

  /** The reason why it is closed; after that no slot may be read or written. */
  get closed(): TandemError | undefined {
    return this.#closed;
  }

  /**
   * Accepts, for thread `worker`, the slot of smallest rank that is READY for worker `workerIndex` of `pool`. Blocks the thread until there is one;
   * `null` once the pool is halted. `loaded` is the key of the rotating slice that the worker has loaded: while micro-batches of the block are
   * still to come to it, it is not given up for another. Not for the coordinator's thread.
   */
  accept(pool: number, worker: number, workerIndex = 0, loaded: string | null = null): Slot | null {
    const waitQueue = this.#waitQueues[pool]!;
    while (!waitQueue.halted) {
      const seen = waitQueue.count;
      const ready = waitQueue.paused ? undefined : this.#firstReady(pool, workerIndex);
      if (ready && !this.#isBefore(ready, pool, loaded)) {
        if (!ready.slot.tryAccept(ready.step, worker, pool)) continue;
        if (this.slots.some(({ isDone }) => isDone)) this.#notifyCoordinator();
        return ready.slot;
      } else if (!(this.slots.some((slot) => slot.isComing(pool, workerIndex)) && waitQueue.watch(seen, WATCH_LIMIT))) {
        waitQueue.wait(seen);
      }
    }
    return null;
  }

  /** A worker has computed `step` of this slot and hands it on. */
  advance(slot: Slot, step: number): void {
    if (!slot.isLast(step)) {
      slot.advance(step);
      return;
    }
    // Read while this worker still owns the slot.
    const took = slot.ran(step, slot.round).finishedAt - slot.ran(0).acceptedAt;
    slot.advance(step);
    if (took > LONG_MICRO_BATCH) this.#waitQueues.at(-1)!.notify();
    else this.#notifyCoordinator();
  }

  /**
   * Notifies the coordinator of DONE slots, unless the workers have enough to do. A wake-up costs the coordinator more than its work on the slot.
   * So it is left asleep while each pool of the first step has a READY slot, or while at least two slots (half of them, if there are
   * many) are READY for later pools. A worker that accepts a slot checks again.
   */
  #notifyCoordinator(): void {
    const first = this.#firstPools;
    const later = this.slots.filter((slot) => slot.isReadyElsewhere(first)).length;
    const isFed =
      first.every((pool) => this.slots.some((slot) => slot.isReady(pool))) ||
      later >= Math.max(2, this.slots.length / 2 - 1);
    if (!isFed) this.#waitQueues.at(-1)!.notify();
  }

  /** Publishes several slots with `publish`; no worker takes one of them before all are READY. Only for the coordinator's side. */
  together(publish: () => void): void {
    const own = this.#firstPools.map((pool) => this.#waitQueues[pool]!);
    for (const waitQueue of own) waitQueue.pause();
    try {
      publish();
    } finally {
      for (const waitQueue of own) waitQueue.resume();
    }
  }

  /** Stops `pool`: its workers accept nothing more, and slots that are READY for it fail. */
  halt(pool: number): void {
    this.#waitQueues[pool]!.halt();
    this.look();
  }

  /** Calls `callback` once, when the slot is DONE or FAILED. Only for the coordinator's side; one callback a slot at a time. */
  whenSettled(slot: Slot, callback: () => void): void {
    if (this.#closed) {
      callback();
      return;
    }
    this.#onSettled[slot.index] = callback;
    if (this.#listening) {
      this.#lookAt(slot);
    } else {
      this.#listening = true;
      this.#waitQueues.at(-1)!.listen(() => this.look());
    }
  }

  /** Calls the callbacks of all slots that have settled. Only for the coordinator's side, when it is notified. */
  look(): void {
    for (const slot of this.slots) this.#lookAt(slot);
  }

  #lookAt(slot: Slot): void {
    const callback = this.#onSettled[slot.index];
    if (!callback) return;
    if (slot.isSettled) {
      this.#onSettled[slot.index] = undefined;
      callback();
    } else this.#failIfStranded(slot);
  }

  /** Fails a slot that is READY for a halted pool. The failure notifies the coordinator, which then calls the callback. */
  #failIfStranded(slot: Slot): void {
    const { state, step } = slot.state;
    if (state === 'READY' && this.#waitQueues[slot.poolOf(step)]!.halted) slot.strand(step);
  }

  /** Whether taking it would unload a slice that another micro-batch in flight needs earlier. */
  #isBefore({ step, rank }: Ready, pool: number, loaded: string | null): boolean {
    const { steps } = this.layout;
    if (loaded === null || !steps[step]!.rotates || steps[step]!.slice === loaded) return false;
    const needing = steps.findIndex((each) => each.slice === loaded && each.pools.includes(pool));
    return this.slots.some((slot) => slot.comesTo(needing, pool, rank));
  }

  #firstReady(pool: number, workerIndex: number): Ready | undefined {
    let first: Ready | undefined;
    for (const slot of this.slots) {
      const step = slot.readyFor(pool, workerIndex);
      if (step === null) continue;
      const rank = slot.rankOf(step);
      // The 32-bit difference is right even if the ranks have overflowed.
      if (!first || ((rank - first.rank) | 0) < 0) first = { slot, step, rank };
    }
    return first;
  }
}

/** A slot that is READY, the step for which it is, and its rank there. */
interface Ready {
  readonly slot: Slot;
  readonly step: number;
  readonly rank: number;
}

interface Claim {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (reason: TandemError) => void;
}
