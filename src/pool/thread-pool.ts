/** A pool whose workers are threads of this process, kept by Piscina. */
import { Piscina, type PiscinaTask } from 'piscina';
import type { Arena } from '../arena/arena.js';
import { asTandemError, fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor } from '../tensor.js';
import type { Pool, PoolOptions } from './pool.js';
import type { Answer, Ask, CallName, Loaded, Probed, Ran, Reply, WorkerSetup } from './protocol.js';
import { Revival } from './revival.js';

/** The one place that knows where the other side of the wall is. */
const WORKER_FILE = new URL('../../workers/stage-worker.js', import.meta.url).href;

/** Micro-batches that a worker may hold: one that it computes and one that waits in its port, which hides the message hop. */
const TASKS_PER_WORKER = 2;

/** Milliseconds that loading, warming up or describing may take: a large model on a slow disk, but not for ever. */
const PREPARE_DEADLINE = 30 * 60_000;

type LoadBalancer = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['loadBalancer']>;
type Candidates = Parameters<LoadBalancer>[1];

export class ThreadPool implements Pool {
  readonly options: PoolOptions;
  readonly waitsForSlots = true;
  readonly #piscina: Piscina;
  /** Ids of the workers that may be given micro-batches. */
  readonly #attached = new Set<number>();
  /** The calls that brought the workers to where they are, in order: what a replacement must be told again. */
  readonly #history: (() => Promise<unknown>)[] = [];
  /** Micro-batches that workers hold, and those that wait until one may. */
  #held = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #revival = new Revival(
    () => this.#bringBack(),
    (death) => this.#end(asTandemError(death, 'TANDEM_STAGE_DIED')),
  );
  /** Why the pool takes no more calls, once it does not. */
  #ended: TandemError | undefined;

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

  async attach(stage: number, { memory, layout }: Arena): Promise<void> {
    await this.#prepare('attach', { memory, layout, stage });
  }

  /**
   * Micro-batches wait here and not in Piscina's queue, where one that no worker may take yet would stand in the way of the
   * very calls that make a worker fit for it.
   */
  async run(slot: number): Promise<Ran | null> {
    while (!this.#ended && this.#held >= this.#room()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#held += 1;
    try {
      return await this.#call('run', { slot });
    } finally {
      this.#held -= 1;
      this.#waiting.shift()?.();
    }
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#call('describe', ask, this.#workerIds()[0]);
  }

  /** Threads share the memory of their process: it cannot be told apart. */
  async peakRss(): Promise<null> {
    return null;
  }

  revive(death: unknown): Promise<void> {
    return this.#revival.after(death);
  }

  async close(): Promise<void> {
    // TensorFlow frees tensors through the thread that made them, and crashes the process when that thread has ended before.
    if (!this.#ended && this.#held === 0) {
      await Promise.allSettled(this.#workerIds().map((id) => this.#call('dispose', {}, id)));
    }
    await this.#end(new TandemError('TANDEM_CLOSED', 'the pipeline has been closed'));
  }

  async #bringBack(): Promise<void> {
    for (const step of this.#history) await step();
    this.#wakeAll();
  }

  /** From here on every call, waiting ones too, rejects with `reason`; the first reason stays. */
  async #end(reason: TandemError): Promise<void> {
    if (this.#ended) return;
    this.#ended = reason;
    this.#wakeAll();
    await this.#piscina.destroy();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Micro-batches that the living, attached workers may hold together. */
  #room(): number {
    return this.#workerIds().filter((id) => this.#attached.has(id)).length * TASKS_PER_WORKER;
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
    if (this.#ended) throw this.#ended;
    // Piscina keeps this symbol on its side, so the balancer sees it and the wall does not.
    const task = worker === undefined ? ask : { ...ask, [Piscina.queueOptionsSymbol]: { worker } };
    const deadline = name === 'run' ? this.options.deadline : PREPARE_DEADLINE;
    const timer = setTimeout(() => void this.#end(hung(name, deadline)), deadline);
    try {
      const reply: Reply<Answer<K>> = await this.#piscina.run(task, { name });
      if ('error' in reply) throw fromWire(reply.error);
      return reply.ok;
    } catch (error) {
      if (error instanceof TandemError) throw error;
      if (this.#ended) throw this.#ended;
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

/** Piscina has no deadline of its own, and a task whose thread failed to start would wait for ever. */
function hung(name: CallName, deadline: number): TandemError {
  return new TandemError('TANDEM_STAGE_TIMEOUT', `a worker did not finish "${name}" in ${deadline / 1000} s`, {
    remedy: 'give it longer with --deadline SECONDS, or make the micro-batch smaller',
  });
}
