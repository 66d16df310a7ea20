/** The load of other processes, with simulated /proc files. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { BUSY, type CoreTicks, formatBusy, otherLoad, readTicks } from '../../src/machine/busy.js';

/** A process with its parent, and its ticks as utime, stime, cutime and cstime. */
type Process = readonly [parent: number, ...ticks: [number, number, number, number]];

function procOf(t: TestContext, stat: string, processes: Record<number, Process>): string {
  const root = mkdtempSync(join(tmpdir(), 'tandem-busy-'));
  t.after(() => rmSync(root, { recursive: true }));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  put('proc/stat', stat);
  put('proc/uptime', '1 1');
  for (const [pid, [parent, ...ticks]] of Object.entries(processes)) {
    put(`proc/${pid}/stat`, `${pid} (a name) 1 2) S ${parent} 0 0 0 0 0 0 0 0 0 ${ticks.join(' ')} 20 0 1 0 5\n`);
  }
  return root;
}

test('own ticks are those of a process, its children and their ended children, with any names', (t) => {
  const root = procOf(t, 'cpu  100 10 50 800 40 0 5 15 9 9\ncpu0 1 2 3\n', {
    1: [0, 500, 500, 500, 500],
    10: [1, 20, 3, 4, 1],
    11: [10, 30, 2, 0, 0],
    12: [11, 5, 5, 0, 0],
    20: [1, 70, 7, 0, 0],
  });
  assert.deepEqual(readTicks(root, 10), { all: 1020, idle: 840, own: 20 + 3 + 4 + 1 + 30 + 2 + 5 + 5 });
});

test('on a system without ticks, the load is unknown and not reported', () => {
  assert.equal(readTicks('/nowhere'), null);
  assert.equal(otherLoad(null, { all: 1, idle: 0, own: 0 }), null);
  assert.deepEqual(formatBusy(null, 'this ran'), []);
  assert.deepEqual(formatBusy(BUSY / 2, 'this ran'), []);
  assert.match(formatBusy(0.43, 'this ran')[0]!, /busy while this ran: 43 %/);
});

test('this process has ticks', { skip: readTicks() === null && 'not Linux' }, () => {
  const before = readTicks()!;
  const end = performance.now() + 60;
  while (performance.now() < end);
  const after = readTicks()!;
  assert.ok(after.all >= before.all && after.own >= before.own && after.own > 0);
});

test('other load is neither idle nor own; with enough idle cores it is 0', () => {
  const from: CoreTicks = { all: 1000, idle: 500, own: 100 };
  const to = (idle: number, own: number): CoreTicks => ({ all: 1200, idle: 500 + idle, own: 100 + own });
  assert.equal(otherLoad(from, to(0, 200)), 0);
  assert.equal(otherLoad(from, to(0, 100)), 0.5);
  assert.equal(otherLoad(from, to(20, 80)), 0.5);
  assert.equal(otherLoad(from, to(100, 0)), 0, 'half of the cores were free');
  assert.equal(otherLoad(from, { all: 1020, idle: 500, own: 100 }), null, 'too short to know');
  const part = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(part, part, part, (idle, own, others) => {
      fc.pre(idle + own + others >= 50);
      const share = otherLoad(from, { all: 1000 + idle + own + others, idle: 500 + idle, own: 100 + own })!;
      assert.ok(share >= 0 && share <= 1);
      if (others === 0) assert.ok(share < 1e-9);
    }),
  );
});
