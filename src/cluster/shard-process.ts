/** A worker's side of the process that runs its shards: started when the first shard comes, kept for the next ones, started again when it dies. */
import { type ChildProcess, fork } from 'node:child_process';
import { fromWire, TandemError } from '../errors.js';
import type { FromShardProcess, ToShardProcess } from './shard-messages.js';

/** By way of the folder: bundled, this file lies in another room. */
const CHILD = new URL('../cluster/shard-child.js', import.meta.url);
/** Milliseconds that rows in flight have to finish after a stop. */
const STOP_TIMEOUT = 20_000;

export interface ShardResult {
  readonly rows: number;
  readonly failedRows: number;
}

/** Thrown where a shard was stopped before its end. */
export class ShardStopped extends Error {}

/** The process has ended in the middle; the shard may be what ended it. */
class ProcessDied extends TandemError {
  /** As of "the process …". */
  readonly how: string;

  constructor(how: string) {
    super('TANDEM_STAGE_LOST', `the process that ran the shard ${how}`);
    this.how = how;
  }
}

/** How the process ended, where that is the error; else `null`. */
export function deathOf(error: unknown): string | null {
  // Classes of coded errors are not told apart by instanceof.
  return error instanceof TandemError && 'how' in error ? String(error.how) : null;
}

type Task = Exclude<ToShardProcess, { readonly kind: 'stop' }>;

export class ShardProcess {
  #child: ChildProcess | null = null;

  /** Throws what the shard threw, ShardStopped, TANDEM_STAGE_LOST if the process died (see `deathOf`). */
  async perform(
    task: Task,
    { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: (rows: number) => void } = {},
  ): Promise<ShardResult> {
    if (signal?.aborted) throw new ShardStopped();
    const child = this.#child ?? this.#start();
    this.#child = child;
    let timer: NodeJS.Timeout | undefined;
    const stop = () => {
      send(child, { kind: 'stop' });
      timer ??= setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    };
    try {
      return await new Promise<ShardResult>((resolve, reject) => {
        const onMessage = (message: FromShardProcess) => {
          if (message.kind === 'progress') onProgress?.(message.rows);
          else if (message.kind === 'done') resolve(message);
          else if (message.kind === 'stopped') reject(new ShardStopped());
          else if (message.kind === 'failed') reject(fromWire(message.error));
        };
        child.on('message', onMessage);
        child.once('exit', (status, by) => reject(signal?.aborted ? new ShardStopped() : died(status, by)));
        signal?.addEventListener('abort', stop, { once: true });
        send(child, task);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      child.removeAllListeners('message').removeAllListeners('exit');
      if (child.exitCode !== null || child.signalCode !== null) this.#child = null;
      else this.#watch(child);
    }
  }

  /** Ends the process; what it runs is not finished. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  #start(): ChildProcess {
    // Its lines are this worker's: notices of engines, and stacks with TANDEM_DEBUG.
    const child = fork(CHILD, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
    child.on('error', () => {});
    return child;
  }

  /** Between two shards. */
  #watch(child: ChildProcess): void {
    child.once('exit', () => {
      if (this.#child === child) this.#child = null;
    });
  }
}

function send(child: ChildProcess, message: ToShardProcess): void {
  // A process that has just died reports it by its exit.
  if (child.connected) child.send(message, () => {});
}

function died(status: number | null, by: NodeJS.Signals | null): ProcessDied {
  const how = by ? `was ended by ${by}` : `ended with status ${status}`;
  return new ProcessDied(how);
}
