/** The lock of an output, which allows one writer. */
import { TandemError } from '../errors.js';
import { type Holder, LockFile, type TakeOptions } from '../lock/lock-file.js';
import { outputError } from './error.js';

export function lockPath(output: string): string {
  return `${output}.lock`;
}

/** A process that has not renewed its lock for this many seconds is suspended. */
const SUSPENDED_SECONDS = 30;

export class OutputLock {
  readonly #output: string;
  readonly #lock: LockFile;

  private constructor(output: string, lock: LockFile) {
    this.#output = output;
    this.#lock = lock;
  }

  /**
   * Takes the lock of `output`; a stale lock is taken over.
   * Throws TANDEM_OUTPUT_EXISTS if another writer holds it, TANDEM_OUTPUT_FAILED if it cannot be created.
   */
  static async take(output: string, options: Pick<TakeOptions, 'onWait' | 'signal'> = {}): Promise<OutputLock> {
    const path = lockPath(output);
    const lock = await LockFile.take(path, options).catch((cause) => {
      options.signal?.throwIfAborted();
      throw outputError(output, cause);
    });
    if (lock instanceof LockFile) return new OutputLock(output, lock);
    throw held(output, path, lock);
  }

  /** Call before writing rows. Reads no file unless this process was suspended. Throws TANDEM_OUTPUT_TAKEN. */
  async check(): Promise<void> {
    if (!this.#lock.isFresh) await this.confirm();
  }

  /** Call before a step that cannot be undone: a journal record, a rename to a final name. Reads the disk. Throws TANDEM_OUTPUT_TAKEN. */
  async confirm(): Promise<void> {
    const isHeld = await this.#lock.isHeld().catch((cause) => {
      throw outputError(this.#output, cause);
    });
    if (!isHeld) throw taken(this.#output);
  }

  release(): Promise<void> {
    return this.#lock.release();
  }
}

/** For example `process 7 on node-3, which renewed its lock 2 s ago`. */
export function describeHolder({ owner, renewedMs }: Holder): string {
  if (owner === null) return 'another program';
  const seconds = Math.round(renewedMs / 1000);
  return `process ${owner.pid} on ${owner.host}, which renewed its lock ${seconds} s ago`;
}

function held(output: string, path: string, holder: Holder): TandemError {
  const isSuspended = holder.owner !== null && holder.renewedMs > SUSPENDED_SECONDS * 1000;
  const remedy =
    holder.owner === null
      ? `if no program needs ${path}, remove it; or name another output`
      : `wait until it has ended${isSuspended ? ' (it seems to be stopped: continue or kill it)' : ''}, or name another output; its lock ends with it`;
  return new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${output} is being written by ${describeHolder(holder)}`, {
    remedy,
  });
}

function taken(output: string): TandemError {
  return new TandemError(
    'TANDEM_OUTPUT_TAKEN',
    `the output ${output} no longer belongs to this process: it was suspended until its lock expired, or its lock was removed`,
    { remedy: `see who writes it now: tandem status ${output}` },
  );
}
