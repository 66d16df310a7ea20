/** The setup lock: one setup at a time per user. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Holder, LockFile } from '../lock/lock-file.js';

const POLL_MS = 200;

/**
 * Runs `work` while holding the lock at `path`; waits for a live holder and takes over a stale lock.
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
  for (let reported = false; ; ) {
    const report = ({ owner }: Holder) => {
      if (!reported && owner) onWait(owner.pid);
      reported = true;
    };
    const lock = await LockFile.take(path, { ours: true, onWait: report });
    if (lock instanceof LockFile) return lock;
    report(lock);
    await sleep(POLL_MS);
  }
}
