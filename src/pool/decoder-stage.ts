/** One stage of a decoder: a worker, thread or process, that holds a slice and the state of its layers, and computes one visit at a time. */
import { ProcessLink } from '../arena/process-link.js';
import type { DecoderHold, StageVisit } from '../engine/decoder-slice.js';
import { parseDevice } from '../engine/device.js';
import { ENGINES } from '../engine/list.js';
import { fromWire, TandemError } from '../errors.js';
import type { DecoderSlice } from '../model/decoder/cut.js';
import { hasBeenClosed } from './closed.js';
import { from, setDeadline, timedOut } from './deadline.js';
import { settleThreads } from './environment.js';
import { died, Host } from './host.js';
import type { Isolation } from './isolation.js';
import { type PoolOptions, PREPARE_DEADLINE_MS } from './pool.js';
import type { DecoderCalls, Held, Reply, Visited } from './protocol.js';
import { givenUp, MOST_DEATHS } from './restart.js';
import { Threads } from './threads.js';

type CallName = keyof DecoderCalls;

/** A worker that answers calls until it dies. */
interface Link {
  readonly pid: number | null;
  call<K extends CallName>(name: K, ask: DecoderCalls[K]['ask']): Promise<DecoderCalls[K]['answer']>;
  end(reason: TandemError): Promise<void>;
}

export class DecoderStage {
  readonly #options: PoolOptions;
  readonly #isolation: Isolation;
  readonly #hold: DecoderHold;
  #link: Link | undefined;
  /** Calls are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Times that the worker was started again. */
  restarts = 0;

  constructor(options: PoolOptions, isolation: Isolation, hold: DecoderHold) {
    this.#options = { ...options, program: 'decoder' };
    this.#isolation = isolation;
    this.#hold = hold;
  }

  get slice(): DecoderSlice {
    return this.#hold.slice;
  }

  /** Its own process; `null` if it has none. */
  get pid(): number | null {
    return this.#link?.pid ?? null;
  }

  /** Whether its worker lives and knows the sequences. */
  get isOpen(): boolean {
    return this.#link !== undefined;
  }

  /** Starts the worker, or one in the place of one that died: without any sequence. Throws what loading throws, TANDEM_STAGE_LOST. */
  async open(): Promise<Held> {
    for (let count = 1; ; count++) {
      try {
        if (this.#closed) throw hasBeenClosed();
        this.#link ??= this.#start();
        return await this.#call('hold', this.#hold, this.#options.prepareDeadlineMs ?? PREPARE_DEADLINE_MS);
      } catch (error) {
        if (!isStageDeath(error)) throw error;
        if (count === MOST_DEATHS) throw givenUp(error);
      }
    }
  }

  /** Throws TANDEM_STAGE_DIED, TANDEM_STAGE_TIMEOUT if the state is lost, TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
  visit(visit: StageVisit): Promise<Visited> {
    const visited = this.#last.then(() => this.#call('visit', visit, this.#options.deadlineMs));
    this.#last = visited.catch(() => {});
    return visited;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#end(hasBeenClosed());
  }

  async #call<K extends CallName>(
    name: K,
    ask: DecoderCalls[K]['ask'],
    limit: number,
  ): Promise<DecoderCalls[K]['answer']> {
    const link = this.#link;
    if (!link) throw this.#closed ? hasBeenClosed() : died('had ended before');
    let late: TandemError | undefined;
    const cancel = setDeadline(from(limit), () => {
      late = timedOut(name === 'visit' ? 'run' : name, limit);
      void link.end(late);
    });
    try {
      return await link.call(name, ask);
    } catch (error) {
      const known = this.#closed ? hasBeenClosed() : (late ?? error);
      if (isStageDeath(known) && this.#link === link) await this.#end(known);
      throw known;
    } finally {
      cancel();
    }
  }

  async #end(reason: TandemError): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.end(reason);
  }

  #start(): Link {
    return this.#isolation === 'thread' ? new ThreadLink(this.#options) : new ProcessStageLink(this.#options);
  }
}

/** Whether an error means that the worker and its state are gone. */
export function isStageDeath(error: unknown): error is TandemError {
  return error instanceof TandemError && (error.code === 'TANDEM_STAGE_DIED' || error.code === 'TANDEM_STAGE_TIMEOUT');
}

class ThreadLink implements Link {
  readonly pid = null;
  readonly #threads: Threads;
  /** The first thread; one in its place would not know the sequences. */
  #id: number | undefined;

  constructor({ engine, engineOptions, device, model }: PoolOptions) {
    for (const { prepareProcess } of ENGINES) prepareProcess?.();
    settleThreads(engine, engineOptions.threads, parseDevice(device), true);
    this.#threads = new Threads({ count: 1, setup: { engine, options: engineOptions, model } });
  }

  async call<K extends CallName>(name: K, ask: DecoderCalls[K]['ask']): Promise<DecoderCalls[K]['answer']> {
    let reply: Reply<DecoderCalls[K]['answer']>;
    try {
      this.#id ??= this.#threads.ids[0];
      if (this.#id === undefined) throw this.#threads.failure;
      reply = (await this.#threads.call(name, ask, this.#id)) as Reply<DecoderCalls[K]['answer']>;
    } catch (cause) {
      throw new TandemError('TANDEM_STAGE_DIED', `a worker died: ${(cause as Error).message}`, { cause });
    }
    if ('error' in reply) throw fromWire(reply.error);
    return reply.ok;
  }

  async end(): Promise<void> {
    await this.#threads.end();
  }
}

class ProcessStageLink implements Link {
  /** Only for the file descriptors that every host inherits. */
  readonly #processLink = new ProcessLink();
  readonly #host: Host;
  /** Why it has exited. */
  #ended: TandemError | undefined;

  constructor(options: PoolOptions) {
    this.#host = new Host(options, this.#processLink, {
      failed: () => {},
      exited: (_, reason) => {
        this.#ended = reason;
      },
    });
  }

  get pid(): number | null {
    return this.#host.pid ?? null;
  }

  call<K extends CallName>(name: K, ask: DecoderCalls[K]['ask']): Promise<DecoderCalls[K]['answer']> {
    return this.#ended ? Promise.reject(this.#ended) : this.#host.call(name, ask);
  }

  async end(reason: TandemError): Promise<void> {
    this.#host.kill(reason);
    await this.#host.exited;
    this.#processLink.close();
  }
}
