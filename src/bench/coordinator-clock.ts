/** What the coordinator itself costs: processor time of the thread that leads the micro-batches. */
import { readFileSync } from 'node:fs';

type ThreadCpuUsage = () => { readonly user: number; readonly system: number };

/**
 * Microseconds so far of the main thread, which must be the one that asks: from Node where it tells (24), else from Linux.
 * Elsewhere it is how long the event loop was not idle, which is never less.
 */
export function coordinatorMicros(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: ThreadCpuUsage };
  if (threadCpuUsage) {
    const { user, system } = threadCpuUsage.call(process);
    return user + system;
  }
  return linuxMicros() ?? performance.eventLoopUtilization().active * 1e3;
}

/** The first number of schedstat is the thread's nanoseconds on a processor. */
function linuxMicros(): number | null {
  try {
    // The kernel brings a running thread's account up to date when it is asked for the whole process's.
    process.cpuUsage();
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e3;
  } catch {
    return null;
  }
}
