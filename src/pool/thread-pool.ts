/** A pool whose workers are threads of this process, kept by Piscina. */
import { Piscina, type PiscinaTask } from 'piscina';
import type { Layout } from '../arena/layout.js';
import { fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor } from '../tensor.js';
import type { Pool, PoolOptions } from './pool.js';
import type { Answer, Ask, CallName, Loaded, Probed, Ran, Reply, WorkerSetup } from './protocol.js';

/** The one place that knows where the other side of the wall is. */
const WORKER_FILE = new URL('../../workers/stage-worker.js', import.meta.url).href;

/** Micro-batches that a worker may hold: one that it computes and one that waits in its port, which hides the message hop. */
const TASKS_PER_WORKER = 2;

/** Times that dead workers of one stage are replaced before the stage is given up. */
const MAX_REVIVALS = 3;

type LoadBalancer = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['loadBalancer']>;
type Candidates = Parameters<LoadBalancer>[1];

export class ThreadPool implements Pool {
  readonly options: PoolOptions;
  readonly #piscina: Piscina;
  /** Ids of the workers that may be given micro-batches. */
  readonly #attached = new Set<number>();
  /** The calls that brought the workers to where they are, in order: what a replacement must be told again. */
  readonly #history: (() => Promise<unknown>)[] = [];
  #reviving: Promise<void> | undefined;
  #revivals = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.options = options;
    const workerData: WorkerSetup = { engine: options.engine, options: options.engineOptions };
    this.#piscina = new Piscina({
      filename: WORKER_FILE,
      workerData,
      minThreads: options.workers,
      maxThreads: options.workers,
      concurrentTasksPerWorker: TASKS_PER_WORKER,
      idleTimeout: Number.POSITIVE_INFINITY,
      loadBalancer: (task, workers) => this.#choose(task, workers),
    });
    // A thread that dies while idle is found missing by the next call; without a listener it would end the process.
    this.#piscina.on('error', () => {});
  }

  load(slice: Slice): Promise<Loaded> {
    return this.#prepare('load', { slice });
  }

  probe(inputs: readonly Tensor[]): Promise<Probed> {
    return this.#prepare('probe', { inputs });
  }

  async attach(stage: number, memory: SharedArrayBuffer, layout: Layout): Promise<void> {
    await this.#prepare('attach', { memory, layout, stage });
  }

  run(slot: number): Promise<Ran> {
    return this.#call('run', { slot });
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#call('describe', ask, this.#workerIds()[0]);
  }

  revive(death: unknown): Promise<void> {
    this.#reviving ??= this.#bringBack(death).finally(() => {
      this.#reviving = undefined;
    });
    return this.#reviving;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#piscina.destroy();
  }

  async #bringBack(death: unknown): Promise<void> {
    this.#revivals += 1;
    if (this.#revivals > MAX_REVIVALS) throw death;
    for (const step of this.#history) await step();
  }

  /** One call on every worker that has not had it, one worker at a time; the first one's answer. */
  async #prepare<K extends 'load' | 'probe' | 'attach'>(name: K, ask: Ask<K>): Promise<Answer<K>> {
    const told = new Set<number>();
    let first: { answer: Answer<K> } | undefined;
    const tellAll = async () => {
      for (const id of this.#workerIds()) {
        if (told.has(id)) continue;
        const answer = await this.#call(name, ask, id);
        told.add(id);
        first ??= { answer };
      }
    };
    await tellAll();
    this.#history.push(tellAll);
    return first!.answer;
  }

  async #call<K extends CallName>(name: K, ask: Ask<K>, worker?: number): Promise<Answer<K>> {
    if (this.#closed) throw closedError();
    // Piscina keeps this symbol on its side, so the balancer sees it and the wall does not.
    const task = worker === undefined ? ask : { ...ask, [Piscina.queueOptionsSymbol]: { worker } };
    const reply = await this.#withinDeadline(name, this.#piscina.run(task, { name }) as Promise<Reply<Answer<K>>>);
    if ('error' in reply) throw fromWire(reply.error);
    return reply.ok;
  }

  /** Piscina has no deadline of its own, and a task whose thread failed to start would wait for ever. */
  async #withinDeadline<T>(name: string, task: Promise<T>): Promise<T> {
    const { deadline } = this.options;
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new TandemError('TANDEM_STAGE_TIMEOUT', `a worker did not finish "${name}" in ${deadline / 1000} s`, {
            remedy: 'give it longer with --deadline SECONDS, or make the micro-batch smaller',
          }),
        );
        void this.close();
      }, deadline);
    });
    try {
      return await Promise.race([task, hung]);
    } catch (error) {
      if (error instanceof TandemError) throw error;
      if (this.#closed) throw closedError();
      throw new TandemError('TANDEM_STAGE_DIED', `a worker died: ${(error as Error).message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Preparing calls name their worker; micro-batches go to the least busy one that is attached. */
  #choose(task: PiscinaTask, workers: Candidates): Candidates[number] | null {
    const options = task[Piscina.queueOptionsSymbol as keyof PiscinaTask] as { worker?: number } | null;
    const usable = workers.filter((worker) => !worker.destroyed && !worker.terminating);
    if (options?.worker !== undefined) {
      const named = usable.find(({ id }) => id === options.worker);
      if (named && task.name === 'attach') this.#attached.add(named.id);
      return named ?? null;
    }
    let best: Candidates[number] | null = null;
    for (const worker of usable) {
      if (!this.#attached.has(worker.id) || worker.currentUsage >= TASKS_PER_WORKER) continue;
      if (!best || worker.currentUsage < best.currentUsage) best = worker;
    }
    return best;
  }

  #workerIds(): number[] {
    return this.#piscina.threads.map(({ threadId }) => threadId);
  }
}

function closedError(): TandemError {
  return new TandemError('TANDEM_CLOSED', 'the pipeline has been closed');
}
