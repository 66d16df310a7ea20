/**
 * The slices that a worker holds. Resident slices stay loaded; of the rotating ones one is loaded at a time, and the next takes its place.
 */
import { TandemError } from '../errors.js';
import { keyOf, type Slice } from '../model/slice.js';
import { sum } from '../sums.js';
import type { Engine, EngineOptions, LoadedSlice } from './engine.js';
import type { Parts } from './in-parts.js';
import { trimMemory } from './trim-memory.js';

/** A loaded slice. */
export interface HeldSlice {
  readonly slice: Slice;
  readonly loaded: LoadedSlice;
  /** Set if micro-batches are computed in sub-batches. */
  parts: Parts | null;
}

/** What is held: all slices, of which the first `resident` stay loaded. `parts` has one element for each slice. */
export interface Holding {
  readonly slices: readonly Slice[];
  readonly parts: readonly Parts[] | null;
  readonly resident: number;
}

export class HeldSlices {
  /** All slices by key, loaded or not. */
  #known: ReadonlyMap<string, Pick<HeldSlice, 'slice' | 'parts'>> = new Map();
  /** Loaded ones by key, in the order of loading. */
  readonly #held = new Map<string, HeldSlice>();
  /** By key, how a rotating slice that was loaded before is loaded again. */
  readonly #again = new Map<string, () => Promise<LoadedSlice>>();
  #load: ((key: string) => Promise<HeldSlice>) | undefined;
  /** Keys of the slices that rotate. */
  #rotating: ReadonlySet<string> = new Set();

  /** Replaces everything that is held. Loads the resident slices and the first rotating one. Errors as of `Engine.load`. */
  async load(engine: Engine, options: EngineOptions, { slices, parts, resident }: Holding): Promise<void> {
    await this.dispose();
    this.#known = new Map(slices.map((slice, n) => [keyOf(slice), { slice, parts: parts?.[n] ?? null }]));
    this.#rotating = new Set(slices.slice(resident).map(keyOf));
    this.#load = async (key) => {
      const { slice, parts: own } = this.#known.get(key)!;
      const loaded = await (this.#again.get(key)?.() ?? engine.load(slice, options));
      const held = { slice, loaded, parts: own };
      if (loaded.again && this.#rotating.has(key)) this.#again.set(key, loaded.again);
      this.#held.set(key, held);
      return held;
    };
    for (const slice of slices.slice(0, resident + 1)) await this.#load(keyOf(slice));
  }

  /** The slice of this key, or the first. Loads it if it rotates and another is loaded. Errors as of `Engine.load`. */
  async get(key?: string): Promise<HeldSlice> {
    const held = key === undefined ? [...this.#held.values()][0] : this.#held.get(key);
    if (held) return held;
    if (key === undefined || !this.#load || !this.#rotating.has(key)) {
      throw new TandemError('TANDEM_INTERNAL', 'the worker was asked to compute before it had loaded its slice');
    }
    // First, so that never two of them take memory.
    for (const other of this.#rotating) await this.#unload(other);
    return this.#load(key);
  }

  /** The key of the rotating slice that is loaded; `null` if none is. */
  get window(): string | null {
    for (const key of this.#rotating) if (this.#held.has(key)) return key;
    return null;
  }

  /** Of this key, loaded or not. */
  sliceOf(key: string): Slice {
    return this.#known.get(key)!.slice;
  }

  /** The slice of this key, if it is loaded. */
  loaded(key: string): HeldSlice | undefined {
    return this.#held.get(key);
  }

  get all(): readonly HeldSlice[] {
    return [...this.#held.values()];
  }

  /** Bytes of the weights that are loaded now. */
  get weightBytes(): number {
    return sum(this.all.map(({ loaded }) => loaded.weightBytes));
  }

  async dispose(): Promise<void> {
    for (const key of [...this.#held.keys()]) await this.#unload(key);
    this.#again.clear();
  }

  async #unload(key: string): Promise<void> {
    const held = this.#held.get(key);
    if (!held) return;
    this.#held.delete(key);
    await held.loaded.dispose();
    if (this.#rotating.has(key)) trimMemory();
  }
}
