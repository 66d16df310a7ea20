/** Measures the share of the cores' time that other processes use during a measurement. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sum } from '../sums.js';

/** Ticks of the cores since boot: all, idle, and those of this process and its children. */
export interface CoreTicks {
  readonly all: number;
  readonly idle: number;
  readonly own: number;
}

/** From this share on other load is reported, and measurements made under it are not kept as they are. */
export const BUSY = 0.1;

/** If the cores are idle for this share of the time, other processes do not slow this one down. */
const ENOUGH_IDLE = 0.4;

/** Shortest measurement in ticks; a tick is a hundredth of a second of one core. */
const MIN_TICKS = 50;

/** Reads the ticks on Linux; `null` elsewhere. `root` is the folder that contains /proc, for tests. */
export function readTicks(root = '/', pid = process.pid): CoreTicks | null {
  try {
    const [line] = readFileSync(join(root, 'proc/stat'), 'utf8').split('\n');
    // user nice system idle iowait irq softirq steal (proc(5)); the later fields are included in user.
    const ticks = line!.split(/\s+/).slice(1, 9).map(Number);
    return { all: sum(ticks), idle: ticks[3]! + ticks[4]!, own: ticksOfTree(root, pid) };
  } catch {
    return null;
  }
}

interface ProcessTicks {
  readonly parent: number;
  /** Ticks of the process and of its children that have ended. */
  readonly ticks: number;
}

function ticksOfTree(root: string, pid: number): number {
  const processes = new Map<number, ProcessTicks>();
  for (const name of readdirSync(join(root, 'proc'))) {
    const found = /^\d+$/.test(name) ? readProcess(join(root, 'proc', name, 'stat')) : null;
    if (found) processes.set(Number(name), found);
  }
  const isOwn = (each: number): boolean => {
    for (let at: number | undefined = each; at; at = processes.get(at)?.parent) if (at === pid) return true;
    return false;
  };
  return sum([...processes].map(([each, { ticks }]) => (isOwn(each) ? ticks : 0)));
}

/** `null` if the process has ended meanwhile. */
function readProcess(file: string): ProcessTicks | null {
  try {
    const text = readFileSync(file, 'utf8');
    // The process name before it may contain any characters, including parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // state ppid …, then utime stime cutime cstime as fields 12 to 15.
    return { parent: Number(fields[1]), ticks: sum(fields.slice(11, 15).map(Number)) };
  } catch {
    return null;
  }
}

/** The share of the cores' time between two readings that other processes used; 0 if enough was idle, `null` if unknown. */
export function otherLoad(before: CoreTicks | null, after: CoreTicks | null): number | null {
  if (!before || !after) return null;
  const all = after.all - before.all;
  if (all < MIN_TICKS) return null;
  const idle = (after.idle - before.idle) / all;
  if (idle >= ENOUGH_IDLE) return 0;
  return Math.min(1, Math.max(0, 1 - idle - (after.own - before.own) / all));
}

/** The message about other load; empty below `BUSY`. */
export function formatBusy(share: number | null | undefined, what: string): string[] {
  if (share == null || share < BUSY) return [];
  return [
    `the machine was busy while ${what}: ${Math.round(100 * share)} % of its cores' time was used by other processes`,
  ];
}
