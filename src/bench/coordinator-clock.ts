/** What the coordinator itself costs: processor time of the thread that leads the micro-batches. */
import { openSync, readSync } from 'node:fs';

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

/** A reading must cost little beside a micro-batch, so the file stays open: `null` where there is none. */
let schedstat: number | null | undefined;
const text = Buffer.alloc(80);

/** The first number of schedstat is the thread's nanoseconds on a processor. */
function linuxMicros(): number | null {
  if (schedstat === null) return null;
  try {
    schedstat ??= openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
    // The kernel brings a running thread's account up to date when it is asked for the whole process's.
    process.cpuUsage();
    readSync(schedstat, text, 0, text.length, 0);
    return Number.parseInt(text.toString('latin1', 0, text.indexOf(' ')), 10) / 1e3;
  } catch {
    schedstat = null;
    return null;
  }
}
