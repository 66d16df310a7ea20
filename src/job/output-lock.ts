/** One writer per output: a lock file beside it. */
import { hostname } from 'node:os';
import { TandemError } from '../errors.js';
import { LockFile, type Owner } from '../lock-file.js';
import { outputError } from './output-error.js';

export function lockPath(output: string): string {
  return `${output}.lock`;
}

/**
 * Takes the lock of `output`; one whose owner is gone is taken over.
 * Throws TANDEM_OUTPUT_EXISTS when another writer holds it, TANDEM_OUTPUT_FAILED when it cannot be made.
 */
export async function lockOutput(output: string): Promise<LockFile> {
  const path = lockPath(output);
  const lock = await LockFile.take(path).catch((cause) => {
    throw outputError(output, cause);
  });
  if (lock instanceof LockFile) return lock;
  throw held(output, path, lock.owner);
}

function held(output: string, path: string, owner: Owner | null): TandemError {
  const who = owner ? `process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`}` : 'another program';
  return new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${output} is being written by ${who}`, {
    remedy: `wait until it has ended or name another output; if it is long gone, remove ${path}`,
  });
}
