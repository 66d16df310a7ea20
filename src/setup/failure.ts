/** Why a set-up could not be done: always what, why, and what to type. */
import { TandemError } from '../errors.js';

/** @param what the step that failed; `why` follows it after a colon. */
export function setupFailure(what: string, why: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('TANDEM_SETUP_FAILED', `${what}: ${why}`, { remedy, cause });
}

const DISK_FAULTS: Record<string, { why: string; remedy: string }> = {
  ENOSPC: { why: 'the disk is full', remedy: 'make room there, or set XDG_CACHE_HOME to a folder on a larger disk' },
  EDQUOT: { why: 'the disk quota is used up', remedy: 'make room there, or set XDG_CACHE_HOME to a folder elsewhere' },
  EROFS: { why: 'the disk is read-only', remedy: 'set XDG_CACHE_HOME to a folder that can be written' },
  EACCES: { why: 'writing there is not allowed', remedy: 'set XDG_CACHE_HOME to a folder of your own' },
};

/** A fault of the disk under `folder` in its own words; anything else as it came. */
export function diskFailure(what: string, folder: string, error: unknown): unknown {
  const fault = DISK_FAULTS[(error as NodeJS.ErrnoException).code ?? ''];
  return fault ? setupFailure(what, `${fault.why} (${folder})`, fault.remedy, error) : error;
}

/** The same fault when another program met it and only printed it. */
export function saysDiskFull(words: string): boolean {
  return /no space left on device|\[Errno 28\]|disk quota exceeded/i.test(words);
}

/** As Node itself would throw it, for `diskFailure` to explain. */
export function diskFull(words: string): Error {
  return Object.assign(new Error(words), { code: 'ENOSPC' });
}
