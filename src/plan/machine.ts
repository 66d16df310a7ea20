/** The machine as this process may use it: cores, memory and shared memory, with a container's limits taken in. */
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** Bytes that exist and bytes that can still be had. */
export interface Room {
  readonly total: number;
  readonly free: number;
}

export interface Machine {
  /** Cores that this process may keep busy: affinity and CPU quota, at least 1. */
  readonly cores: number;
  readonly memory: Room;
  /** The limit that decides `memory.total`: the machine's RAM or the control group's. */
  readonly memoryLimit: 'machine' | 'cgroup';
  /** `/dev/shm`, or null where the system has none. */
  readonly sharedMemory: Room | null;
}

/** Read the machine now. `root` stands before /proc, /sys and /dev, so that a test can bring its own machine. */
export function readMachine(root = '/'): Machine {
  const groups = controlGroups(root);
  const machine = machineMemory(root);
  const limits = groups.map(({ memory }) => memory).filter((room) => room !== null);
  const total = Math.min(machine.total, ...limits.map((room) => room.total));
  return {
    cores: Math.max(1, Math.min(availableParallelism(), ...groups.map(({ cores }) => Math.floor(cores)))),
    memory: { total, free: Math.max(0, Math.min(machine.free, ...limits.map((room) => room.free))) },
    memoryLimit: total < machine.total ? 'cgroup' : 'machine',
    sharedMemory: sharedMemory(root),
  };
}

function machineMemory(root: string): Room {
  const info = read(join(root, 'proc/meminfo')) ?? '';
  const bytes = (name: string) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(info);
    return found ? Number(found[1]) * 1024 : null;
  };
  // MemAvailable counts the page cache that the kernel would give back; MemFree does not.
  return { total: bytes('MemTotal') ?? totalmem(), free: bytes('MemAvailable') ?? freemem() };
}

interface ControlGroup {
  /** CPU quota in cores; Infinity where there is none. */
  readonly cores: number;
  readonly memory: Room | null;
}

/** This process's control groups: a limit may stand on any level up to the root, and the tightest one holds. */
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

/** The group's folder and those above it. Inside a container the path may name the host's tree; the mount's top then stands for it. */
function levels(mount: string, path: string): string[] {
  const folders = [mount];
  for (let level = path; level !== '/' && level !== '.' && level !== ''; level = dirname(level)) {
    folders.push(join(mount, level));
  }
  return folders;
}

/** cgroup v2. */
function unifiedGroup(folder: string): ControlGroup {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number);
  return {
    cores: quota && period ? quota / period : Number.POSITIVE_INFINITY,
    memory: limitedMemory(folder, 'memory.max', 'memory.current', 'inactive_file'),
  };
}

/** cgroup v1. */
function legacyMemory(folder: string): ControlGroup {
  const memory = limitedMemory(folder, 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file');
  return { cores: Number.POSITIVE_INFINITY, memory };
}

/** cgroup v1; a quota of -1 means none. */
function legacyCpu(folder: string): ControlGroup {
  const quota = Number(read(join(folder, 'cpu.cfs_quota_us')));
  const period = Number(read(join(folder, 'cpu.cfs_period_us')));
  return { cores: quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY, memory: null };
}

/** `usage` counts the page cache too; its inactive part is given back under pressure, so it counts as free. */
function limitedMemory(folder: string, limit: string, usage: string, reclaimable: string): Room | null {
  const total = Number(read(join(folder, limit)) ?? Number.NaN);
  if (!Number.isFinite(total)) return null;
  const used = Number(read(join(folder, usage)) ?? 0);
  const stat = read(join(folder, 'memory.stat')) ?? '';
  const cached = Number(new RegExp(`^${reclaimable} (\\d+)`, 'm').exec(stat)?.[1] ?? 0);
  return { total, free: total - Math.max(0, used - cached) };
}

function sharedMemory(root: string): Room | null {
  try {
    const { bsize, blocks, bavail } = statfsSync(join(root, 'dev/shm'));
    return { total: bsize * blocks, free: bsize * bavail };
  } catch {
    return null;
  }
}

/** The file's text; null where it is absent or not ours to read. */
function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
