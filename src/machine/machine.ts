/** Reads the cores, memory and shared memory that this process may use, including a container's limits. */
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { mostCores } from './cores-left.js';

/** Total bytes and available bytes. */
export interface Capacity {
  readonly total: number;
  readonly free: number;
}

export interface Machine {
  /** Cores that this process may use, by affinity and CPU quota; at least 1. */
  readonly cores: number;
  readonly memory: Capacity;
  /** The source of `memory.total`: the machine's RAM or the control group's limit. */
  readonly memoryLimit: 'machine' | 'cgroup';
  /** `/dev/shm`, or null if the system has none. */
  readonly sharedMemory: Capacity | null;
}

/** Reads the current state. `root` is the folder that contains /proc, /sys and /dev, for tests. */
export function readMachine(root = '/'): Machine {
  const machine = machineMemory(root);
  const limits = controlGroups(root)
    .map(({ memory }) => memory())
    .filter((room) => room !== null);
  const total = Math.min(machine.total, ...limits.map((room) => room.total));
  return {
    cores: readCores(root),
    memory: { total, free: Math.max(0, Math.min(machine.free, ...limits.map((room) => room.free))) },
    memoryLimit: total < machine.total ? 'cgroup' : 'machine',
    sharedMemory: sharedMemory(root),
  };
}

/** Only `Machine.cores`: reading the memory limits of control groups can take milliseconds. */
export function readCores(root = '/'): number {
  return Math.max(
    1,
    Math.min(mostCores(), availableParallelism(), ...controlGroups(root).map(({ cores }) => Math.floor(cores()))),
  );
}

function machineMemory(root: string): Capacity {
  const info = read(join(root, 'proc/meminfo')) ?? '';
  const bytes = (name: string) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(info);
    return found ? Number(found[1]) * 1024 : null;
  };
  // MemAvailable includes page cache that the kernel can reclaim; MemFree does not.
  return { total: bytes('MemTotal') ?? totalmem(), free: bytes('MemAvailable') ?? freemem() };
}

interface ControlGroup {
  /** CPU quota in cores; Infinity without a quota. */
  readonly cores: () => number;
  readonly memory: () => Capacity | null;
}

/** This process's control groups on all levels up to the root. The smallest limit applies. */
function controlGroups(root: string): ControlGroup[] {
  const mount = join(root, 'sys/fs/cgroup');
  const found: ControlGroup[] = [];
  for (const line of (read(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const names = controllers.split(',');
    if (controllers === '') {
      found.push(...levels(mount, path).map(unifiedGroup));
    } else if (names.includes('memory')) {
      found.push(...levels(join(mount, 'memory'), path).map(legacyMemory));
    } else if (names.includes('cpu')) {
      found.push(...levels(join(mount, controllers), path).map(legacyCpu));
    }
  }
  return found;
}

/** The group's folder and its parents. Inside a container the path may be that of the host; then the root of the mount is used. */
function levels(mount: string, path: string): string[] {
  const folders = [mount];
  for (let level = path; level !== '/' && level !== '.' && level !== ''; level = dirname(level)) {
    folders.push(join(mount, level));
  }
  return folders;
}

/** cgroup v2. */
function unifiedGroup(folder: string): ControlGroup {
  return {
    cores: () => {
      const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number);
      return quota && period ? quota / period : Number.POSITIVE_INFINITY;
    },
    memory: () => limitedMemory(folder, 'memory.max', 'memory.current', 'inactive_file'),
  };
}

/** cgroup v1. */
function legacyMemory(folder: string): ControlGroup {
  return {
    cores: () => Number.POSITIVE_INFINITY,
    memory: () => limitedMemory(folder, 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'),
  };
}

/** cgroup v1; a quota of -1 means none. */
function legacyCpu(folder: string): ControlGroup {
  return {
    cores: () => {
      const quota = Number(read(join(folder, 'cpu.cfs_quota_us')));
      const period = Number(read(join(folder, 'cpu.cfs_period_us')));
      return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;
    },
    memory: () => null,
  };
}

/** `usage` includes the page cache. Its inactive part is reclaimed under pressure, so it counts as free. */
function limitedMemory(folder: string, limit: string, usage: string, reclaimable: string): Capacity | null {
  const total = Number(read(join(folder, limit)) ?? Number.NaN);
  if (!Number.isFinite(total)) return null;
  const used = Number(read(join(folder, usage)) ?? 0);
  const stat = read(join(folder, 'memory.stat')) ?? '';
  const cached = Number(new RegExp(`^${reclaimable} (\\d+)`, 'm').exec(stat)?.[1] ?? 0);
  return { total, free: total - Math.max(0, used - cached) };
}

function sharedMemory(root: string): Capacity | null {
  try {
    const { bsize, blocks, bavail } = statfsSync(join(root, 'dev/shm'));
    return { total: bsize * blocks, free: bsize * bavail };
  } catch {
    return null;
  }
}

/** The file's text; null if it is absent or not readable. */
function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
