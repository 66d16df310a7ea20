/** What `nvidia-smi` and the driver's files in /proc report of NVIDIA cards, for where NVML cannot be called. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { NvmlCard } from './nvml.js';

export interface DriverAnswer {
  readonly version: string;
  readonly cards: readonly NvmlCard[];
  /** Why the driver works with no card; `null` if it does. */
  readonly fault: string | null;
}

const MEBIBYTE = 2 ** 20;
const QUERY =
  'driver_version,memory.total,memory.free,uuid,pci.bus_id,compute_cap,display_active,mig.mode.current,name';

/** Milliseconds. Without its persistence daemon a driver takes a second or two; one that hangs never answers. */
const TIMEOUT_MS = 5000;

/** Programs that did not answer in time: they are asked once in a process. */
const hanging = new Set<string>();

/** The answer of the command; `null` if there is none, if it hangs, or if it reports nothing that can be read. */
export function askNvidiaSmi(smi: string): DriverAnswer | null {
  // To start a program that is not there takes a large process 10 to 25 ms.
  if (hanging.has(smi) || !isThere(smi)) return null;
  const answer = run(smi, [`--query-gpu=${QUERY}`, '--format=csv,noheader,nounits']);
  if (answer === null) return null;
  if (/version mismatch/i.test(answer)) return { version: '', cards: [], fault: answer.trim().split('\n')[0]! };
  const rows = answer
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter(([version]) => /^\d+(\.\d+)+$/.test(version ?? ''));
  if (rows.length === 0) return null;
  const parts = rows.some((row) => row[7] === 'Enabled') ? partsOf(run(smi, ['-L']) ?? '') : new Map();
  return { version: rows[0]![0]!, cards: rows.map((row) => cardOf(row, parts)), fault: null };
}

function cardOf(fields: readonly string[], parts: ReadonlyMap<string, readonly NvmlCard[]>): NvmlCard {
  const [, total, free, uuid = '', bus = '', computeCapability = '', display, mig, ...name] = fields;
  return {
    name: name.join(', '),
    uuid,
    bus: bus.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '') || null,
    // "[N/A]" on cards that share the machine's memory
    memory: Number(total) > 0 ? { total: Number(total) * MEBIBYTE, free: Number(free) * MEBIBYTE } : null,
    computeCapability: /^\d+\.\d+$/.test(computeCapability) ? computeCapability : null,
    hasDisplay: display === 'Enabled',
    parts: mig === 'Enabled' ? (parts.get(uuid) ?? []) : null,
  };
}

/** The parts of each divided card, by its UUID. `nvidia-smi -L` gives no memory but that in the part's name: `MIG 1g.5gb`. */
function partsOf(list: string): Map<string, NvmlCard[]> {
  const found = new Map<string, NvmlCard[]>();
  let parts: NvmlCard[] = [];
  for (const line of list.split('\n')) {
    const [, card] = /^GPU \d+:.*\(UUID: (GPU-[^)]+)\)/.exec(line) ?? [];
    if (card) {
      parts = [];
      found.set(card, parts);
    }
    const [, profile, gigabytes, uuid] = /^\s+MIG (\S*?(\d+)gb\S*).*\(UUID: (MIG-[^)]+)\)/.exec(line) ?? [];
    if (!uuid) continue;
    const bytes = Number(gigabytes) * 2 ** 30;
    const memory = { total: bytes, free: bytes };
    const same = { bus: null, computeCapability: null, hasDisplay: false, parts: null };
    parts.push({ name: `MIG ${profile}`, uuid, memory, ...same });
  }
  return found;
}

/** What it printed, also where it failed; `null` if it did not answer in time. */
function run(smi: string, args: readonly string[]): string | null {
  try {
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync(smi, args, { encoding: 'utf8', stdio, timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
  } catch (error) {
    const { code, stdout } = error as NodeJS.ErrnoException & { stdout?: string };
    if (code === 'ETIMEDOUT') hanging.add(smi);
    return code === 'ETIMEDOUT' ? null : (stdout ?? null);
  }
}

function isThere(program: string): boolean {
  const folders = /[\\/]/.test(program) ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => ['', '.exe'].some((end) => existsSync(join(folder, program + end))));
}

/** The version of the driver that the kernel has loaded, from its file; `null` if there is none. */
export function kernelModuleVersion(root: string): string | null {
  try {
    const text = readFileSync(join(root, 'proc/driver/nvidia/version'), 'utf8');
    return /Kernel Module(?: for \S+)?\s+([\d.]+)/.exec(text)?.[1] ?? null;
  } catch {
    return null;
  }
}

/** Names alone, from the driver's files. */
export function readDriverFiles(root: string): DriverAnswer | null {
  const version = kernelModuleVersion(root);
  if (version === null) return null;
  const folder = join(root, 'proc/driver/nvidia/gpus');
  try {
    const cards = readdirSync(folder)
      .sort()
      .map((bus): NvmlCard => {
        const information = readFileSync(join(folder, bus, 'information'), 'utf8');
        const name = /^Model:\s+(.+)$/m.exec(information)?.[1] ?? 'NVIDIA card';
        const uuid = /^GPU UUID:\s+(\S+)$/m.exec(information)?.[1] ?? '';
        return { name, uuid, bus, memory: null, computeCapability: null, hasDisplay: false, parts: null };
      });
    return { version, cards, fault: null };
  } catch {
    return { version, cards: [], fault: null };
  }
}
