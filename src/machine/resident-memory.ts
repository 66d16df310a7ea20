/** The resident memory of a process, current and peak, as the system counts it. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes. */
export interface ResidentMemory {
  readonly now: number;
  /** The largest value since the process started or `restartPeak` was called. */
  readonly peak: number;
}

/**
 * On Linux from /proc. `getrusage` is wrong there: its maximum starts with the memory of the parent process
 * (the kernel's exec_mmap passes it on).
 */
export function residentMemory(): ResidentMemory {
  return residentMemoryOf('self') ?? { now: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 };
}

/** The same of another process; `null` where it cannot be read. Linux only. */
export function residentMemoryOf(pid: number | 'self'): ResidentMemory | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024;
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
  } catch {
    return null;
  }
}

/** Resets `peak`, so that it counts from this call. On systems that cannot do that, `peak` is unchanged. */
export function restartPeak(): void {
  try {
    // 5: reset the peak resident set size (proc_pid_clear_refs(5)).
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed.
  }
}
