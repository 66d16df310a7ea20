/** Processes and what they hold, as Linux tells it. */
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';

/** Why this cannot be done here, or false. */
export const notLinux: string | false = existsSync('/proc/self/stat')
  ? false
  : 'processes are found through /proc, which only Linux has';

/** Stages' processes that `parent` has started and that are alive. */
export function stagesOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => isStageOf(pid, parent));
}

function isStageOf(pid: number, parent: number): boolean {
  try {
    // The name in parentheses may hold anything; what follows it is state and parent.
    const [state, owner] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (
      Number(owner) === parent && state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('stage-host')
    );
  } catch {
    // It has just gone.
    return false;
  }
}

/** What this process holds now. */
export function held(): { readonly rss: number; readonly files: number } {
  return { rss: process.memoryUsage.rss(), files: readdirSync('/proc/self/fd').length };
}

/** Bytes in use in shared memory, named files or not. */
export function sharedMemoryInUse(): number {
  const { blocks, bfree, bsize } = statfsSync('/dev/shm');
  return (blocks - bfree) * bsize;
}
