/** The arena: all slots, a bell for each pool of a stage, and the only back-pressure there is: `claim` waits while every slot is taken. */
import { bytesOf, type Tensor } from '../tensor.js';
import { BELL_WORDS, Bell } from './bell.js';
import { ALIGNMENT, arenaBytes, bellCounts, bellsAt, type Layout, type Region } from './layout.js';
import { sharedMemory } from './memory.js';
import { readAt, writeAt } from './shared-file.js';
import { Slot } from './slot.js';

/** Milliseconds that a worker stays awake for a slot that is announced: as long as it takes to store some 50 MB. */
const STORE_LIMIT = 10;

/** Microseconds through all stages from which on a result is not kept waiting for the next: beside them nothing costs much. */
const WAITED_FOR = 250_000;

export class Arena {
  readonly memory: SharedArrayBuffer;
  readonly layout: Layout;
  readonly slots: readonly Slot[];
  /** For each stage those of its pools, rung for each slot that is READY(j) for the pool; the last when one is DONE or FAILED. */
  readonly #bells: readonly (readonly Bell[])[];
  /** The file through which slots reach other processes; `null` where every stage sees `memory` itself. */
  readonly file: number | null;
  readonly #regions: ReadonlyMap<string, Region>;
  readonly #waiting: ((slot: Slot) => void)[] = [];
  /** By slot: who is to be told when it has settled. */
  readonly #awaited: ((() => void) | undefined)[] = [];
  #listening = false;

  constructor(
    layout: Layout,
    {
      memory = sharedMemory(arenaBytes(layout)),
      file = null,
    }: { memory?: SharedArrayBuffer; file?: number | null } = {},
  ) {
    this.layout = layout;
    this.memory = memory;
    this.file = file;
    let at = bellsAt(layout) - ALIGNMENT;
    this.#bells = bellCounts(layout).map((count) =>
      Array.from({ length: count }, () => {
        at += ALIGNMENT;
        return new Bell(new Int32Array(memory, at, BELL_WORDS));
      }),
    );
    this.slots = Array.from({ length: layout.slots }, (_, index) => new Slot(memory, layout, index, this.#bells));
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

  /** A FILLING slot, as soon as there is one; first come, first served. */
  claim(): Promise<Slot> {
    const free = this.slots.find((slot) => slot.claim());
    return free ? Promise.resolve(free) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Takes a slot back and hands it to whoever waits longest. */
  release(slot: Slot): void {
    slot.release();
    const next = this.#waiting.shift();
    if (next) {
      slot.claim();
      next(slot);
    }
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
        if (this.file === null && this.slots.some(({ isDone }) => isDone)) this.#callCoordinator();
        return ready;
      } else if (!(this.slots.some((slot) => slot.isComing(stage, turn)) && bell.watch(seen, STORE_LIMIT))) {
        bell.wait(seen);
      }
    }
    return null;
  }

  /** The same for whoever must not block: calls `take` with what comes to the pool, in the order of the micro-batches, until it is halted. */
  takeAll(stage: number, turn: number, take: (slot: Slot) => void): void {
    const bell = this.#bells[stage]![turn]!;
    bell.listen(() => {
      while (!bell.halted) {
        const ready = this.#earliestReady(stage, turn);
        if (!ready) return;
        if (ready.tryAccept(stage, 0, turn)) take(ready);
      }
    });
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
   * For slots that are DONE. To be woken costs the coordinator more than all that it does then, so among threads it sleeps on while
   * something lies ready for each pool of the first stage, or half of the slots for later ones, which are the slower then. Who accepts
   * any of that calls again.
   */
  #callCoordinator(): void {
    const hasWork = (_: Bell, turn: number) => this.slots.some((slot) => slot.isReady(0, turn));
    const later = this.slots.filter(({ state: { state, stage } }) => state === 'READY' && stage > 0).length;
    const isFed = this.#bells[0]!.every(hasWork) || (later > 0 && 2 * later >= this.slots.length - 1);
    if (this.file !== null || !isFed) this.#bells.at(-1)![0]!.ring();
  }

  /** Nobody takes what comes to the pool `turn` of `stage` any more; it fails there. */
  halt(stage: number, turn = 0): void {
    this.#bells[stage]![turn]!.halt();
    this.#look();
  }

  /** Calls `tell` once, when the slot is DONE or FAILED. Only for the one side that `halt`s, once at a time for a slot. */
  whenSettled(slot: Slot, tell: () => void): void {
    this.#awaited[slot.index] = tell;
    if (this.#listening) {
      this.#look();
    } else {
      this.#listening = true;
      this.#bells.at(-1)![0]!.listen(() => this.#look());
    }
  }

  #look(): void {
    for (const slot of this.slots) {
      const tell = this.#awaited[slot.index];
      if (!tell) continue;
      if (slot.isSettled) {
        this.#awaited[slot.index] = undefined;
        tell();
      } else this.#failIfStranded(slot);
    }
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

  /** Makes tensors that this process wrote visible to the others. Throws TANDEM_OUT_OF_MEMORY. */
  flush(slot: Slot, regions: readonly Region[]): void {
    if (this.file === null) return;
    for (const region of regions) {
      const { bytes, offset } = slot.tensors.place(region);
      writeAt(this.file, bytes, offset);
    }
  }

  /** Puts a result where the next stage finds it: into the slot, or straight into the file. Errors as of `Slot.admit` and `flush`. */
  store(slot: Slot, region: Region, tensor: Tensor): void {
    if (this.file === null) {
      slot.tensors.store(region, tensor);
    } else {
      slot.tensors.admit(region, tensor);
      writeAt(this.file, bytesOf(tensor.data), slot.tensors.place(region).offset);
    }
  }

  /** Brings in tensors that another process flushed; their dims must be known already. */
  async fetch(slot: Slot, regions: readonly Region[]): Promise<void> {
    if (this.file === null) return;
    for (const region of regions) {
      const { bytes, offset } = slot.tensors.place(region);
      await readAt(this.file, bytes, offset);
    }
  }
}
