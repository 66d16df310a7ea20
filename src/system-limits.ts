/**
 * Limits of the system that a start or a run may meet, by the code of the error: what they mean, and how they are raised. The door of the
 * command line holds this, so it is written in what every Node since 12 reads.
 */

export interface SystemLimit {
  /** What cannot be had. */
  readonly met: string;
  readonly remedy: string;
}

const FILES: SystemLimit = {
  met: 'no more files can be opened',
  remedy: 'raise the limit in this shell, ulimit -n 4096 (docker run --ulimit nofile=4096), or use fewer stages',
};
const PROCESSES: SystemLimit = {
  met: 'no more processes or threads can be started',
  remedy:
    'raise the limit in this shell, ulimit -u 4096 (docker run --pids-limit 4096), or use fewer stages, workers= and threads=',
};
const MEMORY: SystemLimit = {
  met: 'the system gives no more memory',
  remedy:
    'see what limits it: ulimit -v, free -m, the limit of the container; or use fewer stages and a smaller --micro-batch',
};

/** That of the error, or of what caused it. */
export function systemLimitOf(error: unknown): SystemLimit | undefined {
  // A coded error already has its own code.
  if (!(error instanceof Error) || error.name === 'TandemError') return undefined;
  return limitOf(error) || systemLimitOf(error.cause);
}

function limitOf(error: Error): SystemLimit | undefined {
  const { code, syscall, message } = error as Error & { readonly code?: string; readonly syscall?: string };
  if (code === 'EMFILE' || code === 'ENFILE') return FILES;
  if (code === 'ENOMEM' || code === 'ERR_WORKER_OUT_OF_MEMORY') return MEMORY;
  // EAGAIN is said of other things, too.
  if (code === 'EAGAIN' && /^spawn/.test(syscall || '')) return PROCESSES;
  // Of a thread; libuv's own words follow.
  if (code === 'ERR_WORKER_INIT_FAILED') return /EMFILE/.test(message) ? FILES : PROCESSES;
  // Node's word for a package.json that cannot be opened; libuv's own words follow.
  if (code === 'ERR_INVALID_PACKAGE_CONFIG' && /too many open files|file table overflow/.test(message)) return FILES;
  return undefined;
}
