/** The threads of a pool, as Piscina keeps them: started together, replaced one by one, and ended together. */
import { Piscina, type PiscinaTask } from 'piscina';
import type { CallName, WorkerSetup } from './protocol.js';
import { addStuckThread } from './stuck-threads.js';

/** The one place that knows where the other side of the wall is. */
const WORKER_FILE = new URL('../../workers/stage-worker.js', import.meta.url).href;

/** Milliseconds that threads are given to end. What they run in JavaScript ends at once; a call deep in native code may never. */
const END_GRACE = 5_000;

type LoadBalancer = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['loadBalancer']>;

export interface ThreadsOptions {
  readonly count: number;
  readonly setup: WorkerSetup;
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #piscina: Piscina;
  #ending: Promise<boolean> | undefined;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#piscina = new Piscina({
      filename: WORKER_FILE,
      workerData: options.setup,
      minThreads: options.count,
      maxThreads: options.count,
      idleTimeout: Number.POSITIVE_INFINITY,
      loadBalancer: named,
    });
    // A thread that dies while idle is found missing by the next call; without a listener it would end the process.
    this.#piscina.on('error', () => {});
  }

  /** Threads that live. */
  get ids(): number[] {
    return this.#piscina.threads.map(({ threadId }) => threadId);
  }

  /** Whether all are there; Piscina replaces one that died, but not one that could not even start. */
  get whole(): boolean {
    return !this.#ending && this.#piscina.threads.length === this.#options.count;
  }

  /** One call, on the thread `worker`. Piscina keeps this symbol on its side, so the balancer sees it and the wall does not. */
  call(name: CallName, ask: object, worker: number): Promise<unknown> {
    return this.#piscina.run({ ...ask, [Piscina.queueOptionsSymbol]: { worker } }, { name });
  }

  /** Calls reject from now on. Resolves when all threads have ended, to true; to false when one of them does not end. */
  end(): Promise<boolean> {
    this.#ending ??= new Promise((resolve) => {
      const grace = setTimeout(() => {
        addStuckThread();
        resolve(false);
      }, END_GRACE);
      void this.#piscina.destroy().then(() => {
        clearTimeout(grace);
        resolve(true);
      });
    });
    return this.#ending;
  }
}

/** Every call names its worker. */
const named: LoadBalancer = (task: PiscinaTask, workers) => {
  const { worker } = task[Piscina.queueOptionsSymbol as keyof PiscinaTask] as unknown as { worker: number };
  return workers.find(({ id, destroyed, terminating }) => id === worker && !destroyed && !terminating) ?? null;
};
