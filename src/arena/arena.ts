/** The arena: all slots, a bell for each stage, and the only back-pressure there is: `claim` waits while every slot is taken. */
import { bytesOf, type Tensor } from '../tensor.js';
import { BELL_WORDS, Bell } from './bell.js';
import { ALIGNMENT, arenaBytes, bellsAt, type Layout, type Region } from './layout.js';
import { sharedMemory } from './memory.js';
import { readAt, writeAt } from './shared-file.js';
import { Slot } from './slot.js';

/** Milliseconds that a worker stays awake for a slot that is announced: as long as it takes to store some 50 MB. */
const STORE_LIMIT = 10;

export class Arena {
  readonly memory: SharedArrayBuffer;
  readonly layout: Layout;
  readonly slots: readonly Slot[];
  /** Rung for each slot that is READY(j); the last when one is DONE or FAILED. */
  readonly #bells: readonly Bell[];
  /** The file through which slots reach other processes; `null` where every stage sees `memory` itself. */
  readonly file: number | null;
  readonly #regions: ReadonlyMap<string, Region>;
  readonly #waiting: ((slot: Slot) => void)[] = [];
  #watches: Watch[] = [];
  #watching = false;

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
    this.#bells = Array.from(
      { length: layout.stages + 1 },
      (_, stage) => new Bell(new Int32Array(memory, bellsAt(layout) + stage * ALIGNMENT, BELL_WORDS)),
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
   * The earliest micro-batch that is ready for `stage`, accepted for `worker`, whose thread blocks until there is one; `null` once
   * the stage has been halted. Not for the coordinator's thread.
   */
  accept(stage: number, worker: number): Slot | null {
    const bell = this.#bells[stage]!;
    while (!bell.halted) {
      const seen = bell.count;
      const ready = this.#earliestReady(stage);
      if (ready) {
        if (ready.tryAccept(stage, worker)) return ready;
      } else if (!(this.slots.some((slot) => slot.isComing(stage)) && bell.watch(seen, STORE_LIMIT))) {
        bell.wait(seen);
      }
    }
    return null;
  }

  /** The same for whoever must not block: what comes to the stage, in the order of the micro-batches, until it is halted. */
  async *arrivals(stage: number): AsyncGenerator<Slot> {
    const bell = this.#bells[stage]!;
    while (!bell.halted) {
      const seen = bell.count;
      const ready = this.#earliestReady(stage);
      if (!ready) await bell.changed(seen);
      else if (ready.tryAccept(stage)) yield ready;
    }
  }

  /** Nobody takes what comes to `stage` any more; it fails there. */
  halt(stage: number): void {
    this.#bells[stage]!.halt();
    this.#look();
  }

  /** Settles when the slot is DONE or FAILED. Only for the one side that `halt`s. */
  settled(slot: Slot): Promise<void> {
    if (this.#hasSettled(slot)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#watches.push({ slot, resolve });
      if (!this.#watching) void this.#watch();
    });
  }

  #look(): void {
    const left: Watch[] = [];
    for (const watch of this.#watches) {
      if (this.#hasSettled(watch.slot)) watch.resolve();
      else left.push(watch);
    }
    this.#watches = left;
  }

  #hasSettled(slot: Slot): boolean {
    const { state, stage } = slot.state;
    if (state === 'READY' && this.#bells[stage]!.halted) slot.fail(stage);
    return slot.isSettled;
  }

  async #watch(): Promise<void> {
    const bell = this.#bells.at(-1)!;
    this.#watching = true;
    while (this.#watches.length > 0) {
      const seen = bell.count;
      this.#look();
      await bell.changed(seen);
    }
    this.#watching = false;
  }

  #earliestReady(stage: number): Slot | undefined {
    let earliest: Slot | undefined;
    for (const slot of this.slots) {
      if (slot.isReady(stage) && (!earliest || slot.microBatch < earliest.microBatch)) earliest = slot;
    }
    return earliest;
  }

  /** Makes tensors that this process wrote visible to the others. Throws TANDEM_OUT_OF_MEMORY. */
  flush(slot: Slot, regions: readonly Region[]): void {
    if (this.file === null) return;
    for (const region of regions) {
      const { bytes, offset } = slot.place(region);
      writeAt(this.file, bytes, offset);
    }
  }

  /** Puts a result where the next stage finds it: into the slot, or straight into the file. Errors as of `Slot.admit` and `flush`. */
  store(slot: Slot, region: Region, tensor: Tensor): void {
    if (this.file === null) {
      slot.store(region, tensor);
    } else {
      slot.admit(region, tensor);
      writeAt(this.file, bytesOf(tensor.data), slot.place(region).offset);
    }
  }

  /** Brings in tensors that another process flushed; their dims must be known already. */
  async fetch(slot: Slot, regions: readonly Region[]): Promise<void> {
    if (this.file === null) return;
    for (const region of regions) {
      const { bytes, offset } = slot.place(region);
      await readAt(this.file, bytes, offset);
    }
  }
}

interface Watch {
  readonly slot: Slot;
  readonly resolve: () => void;
}
