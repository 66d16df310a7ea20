/** Simulated machines: the effect of a container's limits on cores and memory. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readMachine } from '../../src/machine/machine.js';

const GIB = 2 ** 30;
const MEMINFO = `MemTotal:       ${16 * 2 ** 20} kB\nMemFree:        ${2 ** 20} kB\nMemAvailable:   ${12 * 2 ** 20} kB\n`;

/** A root folder with these files. */
function machineOf(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'tandem-machine-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries({ 'proc/meminfo': MEMINFO, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('a machine without limits has all its memory, and reclaimable page cache counts as free', (t) => {
  const machine = readMachine(
    machineOf(t, { 'proc/self/cgroup': '0::/user.slice\n', 'sys/fs/cgroup/cgroup.procs': '' }),
  );
  assert.deepEqual(machine.memory, { total: 16 * GIB, free: 12 * GIB });
  assert.equal(machine.memoryLimit, 'machine');
  assert.equal(machine.cores, availableParallelism());
  assert.equal(machine.sharedMemory, null);
});

test('the smallest limit of all control groups (v2) up to the root applies', (t) => {
  const machine = readMachine(
    machineOf(t, {
      'proc/self/cgroup': '0::/pod/job\n',
      'sys/fs/cgroup/pod/memory.max': `${4 * GIB}\n`,
      'sys/fs/cgroup/pod/memory.current': `${3 * GIB}\n`,
      'sys/fs/cgroup/pod/memory.stat': `anon 5\nactive_file 7\ninactive_file ${GIB}\n`,
      'sys/fs/cgroup/pod/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/pod/job/memory.max': 'max\n',
      'sys/fs/cgroup/pod/job/cpu.max': 'max 100000\n',
    }),
  );
  assert.deepEqual(machine.memory, { total: 4 * GIB, free: 2 * GIB });
  assert.equal(machine.memoryLimit, 'cgroup');
  assert.equal(machine.cores, 1);
});

test('a quota below one core is still one core', (t) => {
  const files = { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '20000 100000\n' };
  assert.equal(readMachine(machineOf(t, files)).cores, 1);
});

test('inside a container the path is the host’s, and the root of the mount is used', (t) => {
  const machine = readMachine(
    machineOf(t, {
      'proc/self/cgroup': '0::/../../docker/abc\n',
      'sys/fs/cgroup/memory.max': `${2 * GIB}\n`,
      'sys/fs/cgroup/memory.current': '0\n',
    }),
  );
  assert.deepEqual(machine.memory, { total: 2 * GIB, free: 2 * GIB });
});

test('control groups of version 1 apply too, and "no limit" there is a huge number', (t) => {
  const machine = readMachine(
    machineOf(t, {
      'proc/self/cgroup': '5:memory:/box\n3:cpu,cpuacct:/box\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': `${9 * GIB}\n`,
      'sys/fs/cgroup/memory/box/memory.limit_in_bytes': `${8 * GIB}\n`,
      'sys/fs/cgroup/memory/box/memory.usage_in_bytes': `${6 * GIB}\n`,
      'sys/fs/cgroup/memory/box/memory.stat': `inactive_file 1\ntotal_inactive_file ${2 * GIB}\n`,
      'sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us': '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us': '100000\n',
    }),
  );
  assert.deepEqual(machine.memory, { total: 8 * GIB, free: 4 * GIB });
  assert.equal(machine.cores, 1);
});

test('this machine can be read', () => {
  const { cores, memory } = readMachine();
  assert.ok(cores >= 1);
  assert.ok(memory.free > 0 && memory.free <= memory.total);
});
