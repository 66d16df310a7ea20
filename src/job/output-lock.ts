/** One writer per output: a small file beside it that says which process writes; it is void as soon as that process is gone. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { TandemError } from '../errors.js';
import { outputError } from './output-error.js';

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Tells the process from a later one that was given the same number; empty where the system does not say. */
  readonly started: string;
}

export function lockPath(output: string): string {
  return `${output}.lock`;
}

export class OutputLock {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /**
   * Takes the lock of `output`; one whose owner is gone is taken over.
   * Throws TANDEM_OUTPUT_EXISTS when another writer holds it, TANDEM_OUTPUT_FAILED when it cannot be made.
   */
  static async take(output: string): Promise<OutputLock> {
    const path = lockPath(output);
    const lock = new OutputLock(path, JSON.stringify(await ownerOf(process.pid)));
    try {
      while (!(await appears(path, lock.#text))) await dropStale(output, path);
    } catch (cause) {
      throw outputError(output, cause);
    }
    return lock;
  }

  async release(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => null);
    if (text === this.#text) await rm(this.#path, { force: true });
  }
}

/** The process of this machine that writes the output, and lives. */
export async function lockOwner(output: string): Promise<{ readonly pid: number } | null> {
  const owner = parseOwner(await readFile(lockPath(output), 'utf8').catch(() => ''));
  return owner && (await isAlive(owner)) ? owner : null;
}

/** Whether the file could be made: it is not if there is one already. */
async function appears(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the names of this process's graves differ. */
let graves = 0;

/** Moves a void lock out of the way; throws when its owner lives. */
async function dropStale(output: string, path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return;
  const owner = parseOwner(text);
  if (owner === null || (await isAlive(owner))) throw held(output, path, owner);
  // Of several that find it void, one moves it. What it moved may already be the next one's fresh lock: then that is put back.
  const grave = `${path}.${process.pid}.${graves++}`;
  await rename(path, grave).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const moved = await readFile(grave, 'utf8').catch(() => null);
  if (moved !== null && moved !== text) await appears(path, moved);
  await rm(grave, { force: true });
}

function held(output: string, path: string, owner: Owner | null): TandemError {
  const who = owner ? `process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`}` : 'another program';
  return new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${output} is being written by ${who}`, {
    remedy: `wait until it has ended or name another output; if it is long gone, remove ${path}`,
  });
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
