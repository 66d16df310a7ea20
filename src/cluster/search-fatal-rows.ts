/**
 * Searches a shard for the rows that end the process, or the machine, that computes them, by bisection. Each step is recorded in the store before it
 * begins and after it ends. A machine that takes a search over repeats it by these records: steps that have an end are not done again, and of
 * one that was begun and has no end the machine has vanished.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { findBadRows } from '../pipeline/bad-rows.js';
import type { RefusedRow } from '../rows/refused-rows.js';
import { SEARCH_DAMAGED, searchPrefix } from './fatal-rows.js';
import type { Shard } from './manifest.js';
import { parseStored } from './parse-stored.js';
import type { Probe } from './probe-shard.js';
import type { Store } from './store.js';

/** A row is blamed when it has ended two processes by itself: a process may end for another reason. */
const TRIES = 2;
const VANISHED = 'the machine that ran it vanished';

const BEGIN = z.strictObject({ from: z.int().min(0) });
const END = z.strictObject({ how: z.string().nullable() });

export interface SearchOptions {
  readonly store: Store;
  /** Rows before it were computed without harm. */
  readonly from: number;
  /** How the shard's process has ended. */
  readonly how: string;
  /** Computes these rows in a process of its own: how that ended, or `null` if it did not. A rejection ends the search, which can be taken up again. */
  readonly probe: (probe: Probe) => Promise<string | null>;
}

/**
 * In order; none if no row ends a process by itself. Throws TANDEM_STAGE_DIED if the process ends without any row, if rows end it only together,
 * or if more of them do than a search may cost; TANDEM_STORE_FAILED, TANDEM_SHARDS_DAMAGED, and what `probe` throws.
 */
export async function searchFatalRows(shard: Shard, options: SearchOptions): Promise<RefusedRow[]> {
  const end = shard.firstRow + shard.rows;
  const from = await agreed(shard, options);
  const steps = new Steps(shard.index, options);
  const found = await findBadRows(end - from, async (places) => {
    const how = await steps.next(
      probeOf(
        places.map((place) => from + place),
        from,
      ),
    );
    return how === null ? null : new TandemError('TANDEM_STAGE_DIED', how);
  });
  return [...found].map(([place, { message }]) => ({ row: from + place, why: message })).sort((a, b) => a.row - b.row);
}

/** Where the search begins: a machine that takes it over has no journal of the first one's. */
async function agreed({ index, firstRow }: Shard, { store, from }: SearchOptions): Promise<number> {
  const key = `${searchPrefix(index)}begin.json`;
  await store.putIfAbsent(key, Buffer.from(JSON.stringify({ from: Math.max(from, firstRow) })));
  return parseStored(BEGIN, (await store.get(key)) ?? Buffer.alloc(0), `${key} of ${store.name}`, SEARCH_DAMAGED).from;
}

/** `rows` in order; `start` is a row of the shard. Pure. */
export function probeOf(rows: readonly number[], start: number): Probe {
  const [from] = rows;
  if (from === undefined) return { from: start, to: start, except: [] };
  const to = rows.at(-1)! + 1;
  if (to - from === rows.length) return { from, to, except: [] };
  const kept = new Set(rows);
  const all = Array.from({ length: to - from }, (_, n) => from + n);
  return { from, to, except: all.filter((row) => !kept.has(row)) };
}

class Steps {
  readonly #shard: number;
  readonly #options: SearchOptions;
  #step = 0;

  constructor(shard: number, options: SearchOptions) {
    this.#shard = shard;
    this.#options = options;
  }

  /** How the process ended, or `null`. */
  async next(probe: Probe): Promise<string | null> {
    const step = this.#step++;
    // The shard as a whole has ended its process: that is why it is searched.
    if (step === 0) return this.#options.how;
    const { store } = this.#options;
    const isOneRow = probe.to - probe.from === 1;
    let how = VANISHED;
    for (let n = 0; n < TRIES; n++) {
      const ended = await this.#endOf(step);
      if (ended) return ended.how;
      const key = `${searchPrefix(this.#shard)}${step}-try${n}.json`;
      // One that is there was begun by a machine that has vanished, or has ended its process.
      if (!(await store.putIfAbsent(key, Buffer.from(JSON.stringify(probe))))) continue;
      const now = await this.#tried(key, probe);
      if (now === null) return this.#end(step, null);
      how = now;
      if (!isOneRow) break;
    }
    return this.#end(step, how);
  }

  async #tried(key: string, probe: Probe): Promise<string | null> {
    try {
      return await this.#options.probe(probe);
    } catch (error) {
      // Not an answer: it is asked again by the machine that takes the search up.
      await this.#options.store.remove(key);
      throw error;
    }
  }

  #endKey(step: number): string {
    return `${searchPrefix(this.#shard)}${step}-end.json`;
  }

  async #endOf(step: number): Promise<{ readonly how: string | null } | null> {
    const bytes = await this.#options.store.get(this.#endKey(step));
    return bytes && parseStored(END, bytes, `${this.#endKey(step)} of ${this.#options.store.name}`, SEARCH_DAMAGED);
  }

  /** What stands afterwards: two machines may be at the same step, where the lock of one is over. */
  async #end(step: number, how: string | null): Promise<string | null> {
    await this.#options.store.putIfAbsent(this.#endKey(step), Buffer.from(JSON.stringify({ how })));
    return ((await this.#endOf(step)) ?? { how }).how;
  }
}
