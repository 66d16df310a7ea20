/** Processes and what they hold, as Linux tells it. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

/** Files of tandem's in shared memory that this process holds or that have a name: a nameless one goes with its last holder. */
export function filesInSharedMemory(): string[] {
  const named = readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-'));
  const held = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The folder's own, which is closed by now.
      return [];
    }
  });
  return [...named, ...held.filter((path) => path.startsWith('/dev/shm/tandem-'))];
}
