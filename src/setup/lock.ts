/** One set-up at a time per user: a file that names the process which holds it. */
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
/** A lock file is empty between its creation and the write that follows at once; one that stays so was left by a crash. */
const UNWRITTEN_MS = 5_000;

/**
 * Do `work` while holding the lock at `path`; wait for a living holder, take over from a dead one. Two processes that find the
 * same dead holder may both get in: the lock saves work, while renames alone keep the files right.
 * @param onWait called once with the holder's pid, before waiting.
 */
export async function withLock<T>(path: string, onWait: (pid: number) => void, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  for (let told = false; !(await take(path)); ) {
    const holder = await livingHolder(path);
    if (holder === null) {
      await rm(path, { force: true });
      continue;
    }
    if (!told && holder > 0) onWait(holder);
    told = told || holder > 0;
    await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid} ${startOf(process.pid) ?? ''}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The holder's pid, 0 while it is about to write it, null when the lock is free to take. */
async function livingHolder(path: string): Promise<number | null> {
  try {
    const [pid, start] = (await readFile(path, 'utf8')).trim().split(' ');
    if (!pid) return Date.now() - (await stat(path)).mtimeMs < UNWRITTEN_MS ? 0 : null;
    return isAlive(Number(pid), start) ? Number(pid) : null;
  } catch {
    return null;
  }
}

/** Pids are used again: where the system tells when a process started, that must match too. */
function isAlive(pid: number, start: string | undefined): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const started = startOf(pid);
  return !start || started === null || started === start;
}

/** Clock ticks from boot to the process's start (field 22 of /proc/PID/stat), or null off Linux. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold blanks and brackets; fields are counted after its last bracket.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
