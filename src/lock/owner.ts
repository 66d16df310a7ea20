/** Identifies the process that has a lock, so that another process can check whether it is alive: its kernel, its pid and its pid namespace. */
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';

export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** The kernel's boot id; empty if there is none. */
  readonly boot: string;
  /** The pid namespace of `pid`; empty if the system has none. */
  readonly pidNamespace: string;
  /** Ticks from the boot to the start of the process: distinguishes it from a later process with the same pid. Empty if unknown. */
  readonly started: string;
}

let own: Promise<Owner> | undefined;

/** This process. */
export function ownerHere(): Promise<Owner> {
  own ??= describe();
  return own;
}

/** Whether the owner's process is alive; `null` if it is not visible from here. */
export async function isAlive(owner: Owner): Promise<boolean | null> {
  const here = await ownerHere();
  if (process.platform === 'linux' && here.pidNamespace === '') return null;
  const isNear = owner.host === here.host && owner.boot === here.boot && owner.pidNamespace === here.pidNamespace;
  if (!isNear) return null;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const found = await statusOf(owner.pid);
  if (found === null || owner.started === '') return null;
  return found.started === owner.started && !found.isDead;
}

async function describe(): Promise<Owner> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const pidNamespace = await readlink('/proc/self/ns/pid').catch(() => '');
  const { started } = (await statusOf(process.pid)) ?? { started: '' };
  return { host: hostname(), pid: process.pid, boot: boot.trim(), pidNamespace, started };
}

/** `null` if /proc does not show the process: it does not exist, belongs to another user, or is in another namespace. */
async function statusOf(pid: number): Promise<{ readonly started: string; readonly isDead: boolean } | null> {
  if ((await readlink('/proc/self').catch(() => '')) !== String(process.pid)) return null;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  // The name, in parentheses, may contain any characters. After it come the state (field 3) and the start time (field 22).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { started: fields[19] ?? '', isDead: fields[0] === 'Z' || fields[0] === 'X' };
}
