/** What the store knows of the fatal rows of a shard: rows that end the process, or the machine, that computes them. */
import { z } from 'zod';
import { type Damage, parseStored } from './parse-stored.js';
import type { Store } from './store.js';

const COUNT = z.int().min(0);

const FOUND = z.strictObject({
  schema: z.literal(1),
  /** In order; none where the shard's deaths had other reasons. */
  rows: z.array(z.strictObject({ row: COUNT, why: z.string() })),
  /** How often machines had begun the shard and vanished when this was found. */
  vanished: COUNT,
});

/** The end of a search. Every later attempt of the shard refuses these rows. */
export type FoundRows = z.infer<typeof FOUND>;

export const SEARCH_DAMAGED: Damage = { what: 'is damaged', remedy: 'remove it, and submit the job again' };

const FOUND_PREFIX = 'fatal/';
const SEARCH_PREFIX = 'search/';

function foundKey(shard: number): string {
  return `${FOUND_PREFIX}${shard}.json`;
}

/** The keys of a search's steps begin so. */
export function searchPrefix(shard: number): string {
  return `${SEARCH_PREFIX}${shard}/`;
}

/** `null` if no search has come to its end. Throws TANDEM_SHARDS_DAMAGED, TANDEM_STORE_FAILED. */
export async function foundRows(store: Store, shard: number): Promise<FoundRows | null> {
  const bytes = await store.get(foundKey(shard));
  return bytes && parseStored(FOUND, bytes, `${foundKey(shard)} of ${store.name}`, SEARCH_DAMAGED);
}

/** What stands afterwards: the first search's. */
export async function storeFound(store: Store, shard: number, found: Omit<FoundRows, 'schema'>): Promise<FoundRows> {
  const own: FoundRows = { schema: 1, ...found };
  await store.putIfAbsent(foundKey(shard), Buffer.from(`${JSON.stringify(own)}\n`));
  for (const key of await store.list(searchPrefix(shard))) await store.remove(key);
  return (await foundRows(store, shard)) ?? own;
}

/** Shards that are tried anew after a job has failed: their fatal rows are searched for again. */
export async function forgetFound(store: Store, shards: ReadonlySet<number>): Promise<void> {
  const keys = [...(await store.list(FOUND_PREFIX)), ...(await store.list(SEARCH_PREFIX))];
  for (const key of keys) if (shards.has(Number(/\d+/.exec(key)?.[0]))) await store.remove(key);
}
