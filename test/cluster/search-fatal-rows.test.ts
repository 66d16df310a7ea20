/** The search for fatal rows: it finds those that end a process by themselves and no other, whenever machines vanish in the middle of it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { openStore } from '../../src/cluster/open-store.js';
import { type Probe, rangeOf } from '../../src/cluster/probe-shard.js';
import { probeOf, searchFatalRows } from '../../src/cluster/search-fatal-rows.js';
import type { Store } from '../../src/cluster/store.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const SHARD = { index: 3, firstRow: 100, rows: 24 };
/** As a machine that is gone: nothing is recorded any more. */
class Vanished extends Error {}

async function emptyStore(t: TestContext): Promise<() => Promise<Store>> {
  const path = tempFolder(t);
  let count = 0;
  return () => openStore(path(`store-${count++}`));
}

function rowsOf({ from, to, except }: Probe): number[] {
  const all = Array.from({ length: to - from }, (_, n) => from + n);
  return all.filter((row) => !except.includes(row));
}

/** Machines take the search over, one after the other; `vanish` says of each probe whether its machine is gone with it. */
async function searched(
  store: Store,
  deadly: (rows: readonly number[]) => boolean,
  vanish: () => boolean = () => false,
) {
  for (let machine = 0; machine < 1_000; machine++) {
    let gone = false;
    // What a machine that is gone would still do does not reach the store.
    const reaching = new Proxy(store, {
      get: (target, name) => {
        const own = target[name as keyof Store];
        if (typeof own !== 'function') return own;
        return (...args: never[]) => (gone && name === 'remove' ? undefined : Reflect.apply(own, target, args));
      },
    });
    const probe = async (asked: Probe) => {
      const dies = deadly(rowsOf(asked));
      if (!vanish()) return dies ? 'was ended by SIGKILL' : null;
      gone = true;
      throw new Vanished();
    };
    try {
      return await searchFatalRows(SHARD, {
        store: reaching,
        from: SHARD.firstRow,
        how: 'was ended by SIGKILL',
        probe,
      });
    } catch (error) {
      if (!(error instanceof Vanished)) throw error;
    }
  }
  throw new Error('the search has no end');
}

const row = fc.integer({ min: SHARD.firstRow, max: SHARD.firstRow + SHARD.rows - 1 });

test('each row that ends a process by itself is found, and no other', async (t) => {
  const fresh = await emptyStore(t);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(row, { maxLength: 3 }), async (fatal) => {
      const store = await fresh();
      const found = await searched(store, (rows) => rows.some((one) => fatal.includes(one)));
      assert.deepEqual(
        found.map((each) => each.row),
        [...fatal].sort((a, b) => a - b),
      );
    }),
    { numRuns: 40 },
  );
});

test('a machine that vanishes once in a step changes nothing of what is found', async (t) => {
  const fresh = await emptyStore(t);
  await fc.assert(
    fc.asyncProperty(row, fc.infiniteStream(fc.boolean()), async (fatal, chance) => {
      const store = await fresh();
      let before = false;
      const vanish = () => {
        before = !before && chance.next().value === true;
        return before;
      };
      // In a step that a machine has left, the next one always comes to an answer.
      const found = await searched(store, (rows) => rows.includes(fatal), vanish);
      assert.deepEqual(
        found.map((each) => each.row),
        [fatal],
      );
    }),
    { numRuns: 40 },
  );
});

test('a row that ends machines, not only processes, is found by those that take the search over', async (t) => {
  const fresh = await emptyStore(t);
  const store = await fresh();
  let dies = false;
  const found = await searched(
    store,
    (rows) => {
      dies = rows.includes(117);
      return dies;
    },
    () => dies,
  );
  assert.deepEqual(found, [{ row: 117, why: 'the machine that ran it vanished' }]);
});

test('a process that ends without any row, with rows together only, or with too many, is an error and no row is blamed', async (t) => {
  const fresh = await emptyStore(t);
  const refused = { code: 'TANDEM_STAGE_DIED' };
  await assert.rejects(
    searched(await fresh(), () => true),
    refused,
  );
  const together = (rows: readonly number[]) => rows.includes(101) && rows.includes(120);
  await assert.rejects(searched(await fresh(), together), refused);
  await assert.rejects(
    searched(await fresh(), (rows) => rows.length > 0),
    refused,
  );
});

test('an accident is no row: the process that has ended lives through all rows', async (t) => {
  const fresh = await emptyStore(t);
  assert.deepEqual(await searched(await fresh(), () => false), []);
});

test('a probe computes its own rows only, in the micro-batches that they have in the job', () => {
  const shards = [
    { index: 0, firstRow: 0, rows: 16 },
    { index: 1, firstRow: 16, rows: 21 },
  ];
  const division = { microBatch: 8, lengths: null };
  const bounds = fc.tuple(fc.integer({ min: 16, max: 36 }), fc.integer({ min: 16, max: 36 }));
  fc.assert(
    fc.property(bounds, fc.uniqueArray(fc.integer({ min: 16, max: 36 }), { maxLength: 4 }), ([a, b], out) => {
      const rows = Array.from({ length: Math.abs(a - b) }, (_, n) => Math.min(a, b) + n).filter(
        (n) => !out.includes(n),
      );
      const range = rangeOf({ shards, division }, 1, probeOf(rows, 16));
      assert.equal(range.firstRow % 8, 0);
      const end = range.firstRow + range.rows;
      assert.ok(end <= 37 && (end % 8 === 0 || end === 37), `it ends at ${end}`);
      const refused = new Set(range.refused.map((each) => each.row));
      const left = Array.from({ length: range.rows }, (_, n) => range.firstRow + n).filter((n) => !refused.has(n));
      assert.deepEqual(left, rows);
    }),
  );
});
