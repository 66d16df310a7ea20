/** The errors of a setup: what failed, why, and what to type. */
import { TandemError } from '../errors.js';

/** @param what the step that failed; `why` follows it after a colon. */
export function setupFailure(what: string, why: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('TANDEM_SETUP_FAILED', `${what}: ${why}`, { remedy, cause });
}

const DISK_FAULTS: Record<string, { why: string; remedy: string }> = {
  ENOSPC: {
    why: 'the disk is full',
    remedy: 'free some space there, or set XDG_CACHE_HOME to a folder on a larger disk',
  },
  EDQUOT: {
    why: 'the disk quota is used up',
    remedy: 'free some space there, or set XDG_CACHE_HOME to a folder elsewhere',
  },
  EROFS: { why: 'the disk is read-only', remedy: 'set XDG_CACHE_HOME to a folder that can be written' },
  EACCES: { why: 'writing there is not allowed', remedy: 'set XDG_CACHE_HOME to a folder of your own' },
  ENOTDIR: { why: 'a parent of that path is not a folder', remedy: 'set XDG_CACHE_HOME to a folder of your own' },
};

/** Turns a system error in `folder` into a coded error; any other error is returned unchanged. */
export function diskFailure(what: string, folder: string, error: unknown): unknown {
  const { code = '', syscall, message } = error as NodeJS.ErrnoException;
  const fault = DISK_FAULTS[code];
  if (fault) return setupFailure(what, `${fault.why} (${folder})`, fault.remedy, error);
  if (syscall === undefined) return error;
  return setupFailure(what, `${message} (${folder})`, 'set XDG_CACHE_HOME to a folder that can be written', error);
}

/** Whether the output of another program reports a full disk. */
export function isDiskFull(output: string): boolean {
  return /no space left on device|\[Errno 28\]|disk quota exceeded/i.test(output);
}

/** A full disk as an error of Node, for `diskFailure`. */
export function diskFull(output: string): Error {
  return Object.assign(new Error(output), { code: 'ENOSPC' });
}
