/** Reads processes and their files from Linux's /proc. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The reason why this does not work here, or false. */
export const notLinux: string | false = existsSync('/proc/self/stat')
  ? false
  : 'processes are found through /proc, which only Linux has';

/** The live stage processes that `parent` started. */
export function stagesOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => isStageOf(pid, parent));
}

function isStageOf(pid: number, parent: number): boolean {
  try {
    // The name in parentheses may contain any characters; state and parent follow it.
    const [state, owner] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (
      Number(owner) === parent && state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('stage-host')
    );
  } catch {
    // It has just ended.
    return false;
  }
}

/** The live child processes of `parent`; none if /proc does not list them. */
export function childrenOf(parent: number): number[] {
  try {
    const text = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Current resources of this process. */
export function held(): { readonly rss: number; readonly files: number } {
  return { rss: process.memoryUsage.rss(), files: readdirSync('/proc/self/fd').length };
}

/** tandem's files in shared memory that this process has open or that have a name. A file without a name is removed with its last descriptor. */
export function filesInSharedMemory(): string[] {
  const named = readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-'));
  const held = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The descriptor of the folder itself, which is closed by now.
      return [];
    }
  });
  return [...named, ...held.filter((path) => path.startsWith('/dev/shm/tandem-'))];
}
