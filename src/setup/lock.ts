/** One set-up at a time per user. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockFile } from '../lock-file.js';

const POLL_MS = 200;

/**
 * Do `work` while holding the lock at `path`; wait for a living holder, take over from a dead one.
 * @param onWait called once with the holder's pid, before waiting.
 */
export async function withLock<T>(path: string, onWait: (pid: number) => void, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const lock = await taken(path, onWait);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function taken(path: string, onWait: (pid: number) => void): Promise<LockFile> {
  for (let told = false; ; ) {
    const lock = await LockFile.take(path);
    if (lock instanceof LockFile) return lock;
    if (lock.owner === null) {
      // The cache is ours alone: what is no lock of this version is one of an older one.
      await rm(path, { force: true });
      continue;
    }
    if (!told) onWait(lock.owner.pid);
    told = true;
    await sleep(POLL_MS);
  }
}
