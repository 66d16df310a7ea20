/** The arena: all slots, and the only back-pressure there is: `claim` waits while every slot is taken. */
import { bytesOf, type Tensor } from '../tensor.js';
import { arenaBytes, type Layout, type Region } from './layout.js';
import { sharedMemory } from './memory.js';
import { readAt, writeAt } from './shared-file.js';
import { Slot } from './slot.js';

export class Arena {
  readonly memory: SharedArrayBuffer;
  readonly layout: Layout;
  readonly slots: readonly Slot[];
  /** The file through which slots reach other processes; `null` where every stage sees `memory` itself. */
  readonly file: number | null;
  readonly #regions: ReadonlyMap<string, Region>;
  readonly #waiting: ((slot: Slot) => void)[] = [];

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
    this.slots = Array.from({ length: layout.slots }, (_, index) => new Slot(memory, layout, index));
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
    for (const region of this.file === null ? [] : regions) {
      const { bytes, offset } = slot.place(region);
      await readAt(this.file!, bytes, offset);
    }
  }
}
