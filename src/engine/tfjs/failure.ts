/** Errors inside TensorFlow as coded errors that name the op. */
import { TandemError } from '../../errors.js';

const OUT_OF_MEMORY =
  /\bOOM\b|ResourceExhausted|RESOURCE_EXHAUSTED|out of memory|bad_alloc|Array buffer allocation failed/;

export function isOutOfMemory(cause: unknown): boolean {
  return OUT_OF_MEMORY.test(cause instanceof Error ? cause.message : String(cause));
}

/** `cause`, thrown while `what` ran, as TANDEM_OUT_OF_MEMORY or TANDEM_ENGINE_FAILED; coded errors pass. */
export function engineFailure(what: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return isOutOfMemory(cause)
    ? new TandemError('TANDEM_OUT_OF_MEMORY', `no memory for ${what}: ${message}`, {
        remedy: 'use a smaller --micro-batch, or give the stage fewer layers',
        cause,
      })
    : new TandemError('TANDEM_ENGINE_FAILED', `${what} failed: ${message}`, { cause });
}
