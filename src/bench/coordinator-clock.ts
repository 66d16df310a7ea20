/** The coordinator's cost: processor time of its thread. */
import { openSync, readSync } from 'node:fs';

type ThreadCpuUsage = () => { readonly user: number; readonly system: number };

/**
 * Microseconds so far of the main thread, which must be the caller: from Node if it reports it (24), else from Linux.
 * Else it is the time in which the event loop was not idle, which is an upper bound.
 */
export function coordinatorMicros(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: ThreadCpuUsage };
  if (threadCpuUsage) {
    const { user, system } = threadCpuUsage.call(process);
    return user + system;
  }
  return linuxMicros() ?? performance.eventLoopUtilization().active * 1e3;
}

/** The file stays open, so that a reading costs little compared with a micro-batch; `null` if there is none. */
let schedstat: number | null | undefined;
const text = Buffer.alloc(80);

/** The first number of schedstat is the thread's processor time in nanoseconds. */
function linuxMicros(): number | null {
  if (schedstat === null) return null;
  try {
    schedstat ??= openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
    // The kernel updates a running thread's time when the time of the whole process is read.
    process.cpuUsage();
    readSync(schedstat, text, 0, text.length, 0);
    return Number.parseInt(text.toString('latin1', 0, text.indexOf(' ')), 10) / 1e3;
  } catch {
    schedstat = null;
    return null;
  }
}
