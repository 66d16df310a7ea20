/** A file that says which process holds something; it is void as soon as that process is gone. */
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Tells the process from a later one that was given the same number; empty where the system does not say. */
  readonly started: string;
}

/** Who keeps a lock from being taken: a process that lives, or `null` where the file does not say it in our words. */
export interface Held {
  readonly owner: Owner | null;
}

/** A lock is empty between its creation and the write that follows at once; one that stays so was left by a crash. */
const UNWRITTEN_MS = 5_000;
const POLL_MS = 50;

export class LockFile {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /** Takes it, from a dead owner too. Throws the system's errors. */
  static async take(path: string): Promise<LockFile | Held> {
    const text = JSON.stringify(await ownerOf(process.pid));
    while (!(await appears(path, text))) {
      const held = await dropVoid(path);
      if (held) return held;
    }
    return new LockFile(path, text);
  }

  async release(): Promise<void> {
    if ((await textOf(this.#path)) !== this.#text) return;
    // While the lock stands nobody has anything in a grave that counts.
    await sweepGraves(this.#path);
    await rm(this.#path, { force: true });
  }
}

/** The process of this machine that holds the lock, and lives. */
export async function lockOwner(path: string): Promise<Owner | null> {
  const owner = parseOwner((await textOf(path)) ?? '');
  return owner && (await isAlive(owner)) ? owner : null;
}

/** Whether the file could be made, and is still there with its text: whoever took it for a dead one's while it was empty has moved it. */
async function appears(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  return (await textOf(path)) === text;
}

/** Makes the names of this process's graves differ. */
let graves = 0;

/** Moves a void lock out of the way; tells who holds one that is not. */
async function dropVoid(path: string): Promise<Held | null> {
  const text = await textOf(path);
  if (text === null) return null;
  if (text === '' && (await ageOf(path)) < UNWRITTEN_MS) {
    await sleep(POLL_MS);
    return null;
  }
  const owner = parseOwner(text);
  if (text !== '' && (owner === null || (await isAlive(owner)))) return { owner };
  // Of several that find it void, one moves it. What it moved may already be the next one's fresh lock: then that is put back.
  const grave = `${path}.${process.pid}.${graves++}`;
  await rename(path, grave).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const moved = await textOf(grave);
  if (moved !== null && moved !== text) await appears(path, moved);
  await rm(grave, { force: true });
  return null;
}

/** Who was killed while it moved a void lock has left it there. */
async function sweepGraves(path: string): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const isGrave = (name: string) =>
    name.startsWith(`${basename(path)}.`) && /^\.\d+\.\d+$/.test(name.slice(basename(path).length));
  for (const name of names.filter(isGrave)) await rm(join(folder, name), { force: true });
}

async function textOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** Milliseconds since the file was last written; none where it has just gone. */
async function ageOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => null);
  return found ? Date.now() - found.mtimeMs : 0;
}

function parseOwner(text: string): Owner | null {
  try {
    const { host, pid, started } = JSON.parse(text) as Owner;
    return typeof host === 'string' && Number.isSafeInteger(pid) && pid > 0 ? { host, pid, started } : null;
  } catch {
    return null;
  }
}

/** A process of another machine cannot be looked at: it counts as alive. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
  return (await ownerOf(owner.pid)).started === owner.started;
}

async function ownerOf(pid: number): Promise<Owner> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name, in parentheses, may hold anything; after it come the state (field 3) and, as field 22, the start time in ticks since boot.
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return { host: hostname(), pid, started: `${boot.trim()} ${startTime}`.trim() };
}
