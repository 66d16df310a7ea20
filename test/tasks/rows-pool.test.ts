/** The pool of rows workers: rows in order, faults singly, and a bound on what is begun. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { RowsPool } from '../../src/tasks/rows-pool.js';
import type { Prepared } from '../../src/tasks/task.js';

const name = new URL('../fixtures/length-preparer.js', import.meta.url).href;

function poolFor(t: { after(close: () => Promise<void>): void }, options: object = {}): RowsPool {
  const pool = new RowsPool({ preparer: { name, options, rowsAtOnce: 4 }, threads: 2 });
  t.after(() => pool.close());
  return pool;
}

function textOf(row: Prepared): string {
  if ('fault' in row) return `${row.fault.code}: ${row.fault.message}`;
  const [length, codes] = row.tensors;
  assert.equal(length!.data[0], codes!.shape[0]);
  return String.fromCodePoint(...Array.from(codes!.data as BigInt64Array, Number));
}

test('rows come back in order, as the tensors that were made of them, from several threads', async (t) => {
  const pool = poolFor(t);
  const texts = Array.from({ length: 300 }, (_, n) => 'é'.repeat(n % 7) + n);
  const chunks = Array.from({ length: 30 }, (_, n) => pool.prepare(texts.slice(n * 10, n * 10 + 10)));
  const rows = (await Promise.all(chunks)).flat();
  assert.deepEqual(rows.map(textOf), texts);
  const threads = new Set(rows.flatMap((row) => ('counts' in row ? Object.keys(row.counts!) : [])));
  assert.equal(threads.size, 2);
});

test('a refused record, one that no preparer expects and one that ends its worker cost themselves alone', async (t) => {
  const pool = poolFor(t);
  const rows = await pool.prepare(['a', 'refused', 'b', 'unexpected', 'c', 'fatal', 'd']);
  assert.deepEqual(rows.map(textOf), [
    'a',
    'TANDEM_ROW_INVALID: it says so',
    'b',
    'TANDEM_ROW_INVALID: the row cannot be prepared: a bug',
    'c',
    textOf(rows[5]!),
    'd',
  ]);
  assert.match(textOf(rows[5]!), /^TANDEM_ROW_INVALID: the row cannot be prepared: .*exit/i);
});

test('what keeps the workers from preparing any row ends the job, not every row', async (t) => {
  const pool = poolFor(t, { fail: true });
  await assert.rejects(pool.prepare(['a', 'b']), { code: 'TANDEM_INTERNAL', message: 'no such tokenizer' });
});

test('a closed pool refuses calls', async (t) => {
  const pool = poolFor(t);
  const before = pool.prepare(['a']);
  await before;
  await pool.close();
  await assert.rejects(pool.prepare(['b']), { code: 'TANDEM_CLOSED' });
});

test('other threads are preferred to those of the pool, on Linux', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const nices = () =>
    readdirSync('/proc/self/task').map((task) =>
      Number(readFileSync(`/proc/self/task/${task}/stat`, 'latin1').split(') ')[1]!.split(' ')[16]),
    );
  const before = nices();
  const pool = poolFor(t);
  await Promise.all(Array.from({ length: 20 }, () => pool.prepare(['a'])));
  const after = nices();
  assert.equal(Math.min(...after), Math.min(...before), 'this thread is as it was');
  assert.equal(after.filter((nice) => nice === 5).length - before.filter((nice) => nice === 5).length, 2);
});

test('a paused pool begins nothing until it is given threads, and counts what each call took', async (t) => {
  const pool = poolFor(t);
  await pool.prepare(['a', 'b']);
  await pool.pause();
  let done = false;
  const call = pool.prepare(['c']).then((rows) => {
    done = true;
    return rows;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  assert.equal(pool.log.use.rows, 2);
  pool.log.begin();
  pool.threads = 1;
  assert.deepEqual((await call).map(textOf), ['c']);
  const { rows, rowsBefore, busySeconds, spans } = pool.log.use;
  assert.deepEqual({ rows, rowsBefore }, { rows: 1, rowsBefore: 2 });
  assert.ok(busySeconds > 0);
  assert.deepEqual(
    spans.map((span) => span.rows),
    [2, 1],
  );
  assert.ok(spans.every(({ startedAt, finishedAt }) => finishedAt >= startedAt));
});

test('a call that waits for a thread ends when the pool is closed', async (t) => {
  const pool = poolFor(t);
  await pool.pause();
  const call = pool.prepare(['a', 'b']);
  const refused = assert.rejects(call, { code: 'TANDEM_CLOSED' });
  await pool.close();
  await refused;
});
