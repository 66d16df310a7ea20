/** The pool of rows workers: prepares records in threads beside the stages, managed by Piscina. */
import { Piscina } from 'piscina';
import { asTandemError, fromWire, TandemError, type WireError } from '../errors.js';
import { readCores } from '../machine/machine.js';
import type { PreparingSpan } from '../rows/preparing.js';
import { type PackedRows, unpackRows } from './packed-rows.js';
import { PreparingLog } from './preparing-log.js';
import type { Prepared, PreparerSpec } from './task.js';

/** What each thread runs. */
const WORKER_FILE = new URL('../../workers/rows-worker.js', import.meta.url).href;

export interface RowsPoolOptions {
  readonly preparer: PreparerSpec;
  /** At least 1. */
  readonly threads: number;
}

type Reply = { readonly ok: PackedRows; readonly span: PreparingSpan } | { readonly error: WireError };

export class RowsPool {
  readonly #piscina: Piscina<readonly unknown[], Reply>;
  readonly log = new PreparingLog();
  #threads: number;
  #running = 0;
  /** Calls that wait for a thread, oldest first. */
  readonly #waiting: (() => void)[] = [];
  /** Called once no call computes. */
  readonly #idle: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  constructor({ preparer, threads }: RowsPoolOptions) {
    this.#threads = threads;
    this.#piscina = new Piscina({
      filename: WORKER_FILE,
      workerData: { preparer },
      minThreads: 1,
      maxThreads: Math.max(threads, readCores()),
      idleTimeout: Number.POSITIVE_INFINITY,
      // A preparer may wait for native work between two calls.
      atomics: 'disabled',
    });
    // Its failure is thrown where the call is awaited.
    this.#piscina.on('error', () => {});
  }

  /** Threads that compute at once; at most as many as there are cores, or as the pool was opened with. With 0 calls wait. */
  get threads(): number {
    return this.#threads;
  }

  set threads(count: number) {
    this.#threads = Math.max(0, Math.min(count, this.#piscina.options.maxThreads));
    while (this.#running < this.#threads && this.#waiting.length > 0) this.#letOneRun();
  }

  /** Lets no further call begin until `threads` is set; resolves when none computes. */
  async pause(): Promise<void> {
    this.#threads = 0;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * The rows, one for each of `selected`, in order. A record that ends its worker (by an error that no preparer expects, or for want of
   * memory) is found by preparing them one by one, and costs that row alone. Throws what keeps the workers from preparing any row,
   * and TANDEM_CLOSED.
   */
  async prepare(selected: readonly unknown[]): Promise<Prepared[]> {
    try {
      return await this.#call(selected);
    } catch (error) {
      if (error instanceof TandemError) throw error;
      if (selected.length === 1) return [{ fault: { code: 'TANDEM_ROW_INVALID', message: messageOf(error) } }];
    }
    const rows: Prepared[] = [];
    for (const each of selected) rows.push(...(await this.prepare([each])));
    return rows;
  }

  /** Waits for calls under way: a thread is not ended inside of native code. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#piscina.close({ force: true });
    while (this.#waiting.length > 0) this.#letOneRun();
    return this.#closing;
  }

  /** Resolves when a thread is free for the caller, which must call `#leave` once. */
  async #enter(): Promise<void> {
    if (this.#running < this.#threads) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    this.#running -= 1;
    if (this.#running === 0) for (const idle of this.#idle.splice(0)) idle();
    if (this.#running < this.#threads && this.#waiting.length > 0) this.#letOneRun();
  }

  #letOneRun(): void {
    this.#running += 1;
    this.#waiting.shift()!();
  }

  async #call(selected: readonly unknown[]): Promise<Prepared[]> {
    await this.#enter();
    let reply: Reply;
    try {
      if (this.#closing) throw closed();
      reply = await this.#piscina.run(selected);
    } catch (error) {
      if (this.#closing) throw closed();
      throw error;
    } finally {
      this.#leave();
    }
    if ('error' in reply) throw fromWire(reply.error);
    this.log.add(reply.span);
    return unpackRows(reply.ok);
  }
}

function messageOf(error: unknown): string {
  return `the row cannot be prepared: ${asTandemError(error).message}`;
}

function closed(): TandemError {
  return new TandemError('TANDEM_CLOSED', 'the rows workers were closed while they prepared rows', {
    remedy: 'read all rows before closing the source',
  });
}
