/** What this process holds resident in memory, now and at most; the system's own count. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes. */
export interface ResidentMemory {
  readonly now: number;
  /** The most since the process began or `restartPeak` was called. */
  readonly peak: number;
}

/**
 * On Linux as /proc tells it. `getrusage` does not do there: its maximum begins with what the process that started this one held
 * (the kernel's exec_mmap hands it on).
 */
export function residentMemory(): ResidentMemory {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024;
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
  } catch {
    return { now: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 };
  }
}

/** From now on `peak` is the most since this call; where the system cannot do that it stays the most of all time. */
export function restartPeak(): void {
  try {
    // 5: reset the peak resident set size (proc_pid_clear_refs(5)).
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed.
  }
}
