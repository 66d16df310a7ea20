/** The threads of a pool, managed by Piscina: started together, replaced one by one, and ended together, only outside of native code. */
import type { Worker } from 'node:worker_threads';
import { Piscina, type PiscinaTask } from 'piscina';
import { outOfFiles } from '../out-of-files.js';
import { leaveProcess } from './leave-process.js';
import type { CallName, ThreadAsk, ThreadSetup, WorkerSetup } from './protocol.js';
import { Safepoints } from './safepoint.js';
import { addStuckThread } from './stuck-threads.js';

/** What each thread runs. */
const WORKER_FILE = new URL('../../workers/stage-worker.js', import.meta.url).href;

/** Milliseconds to wait for threads in native code; a call into a driver may never return. */
const END_GRACE = 5_000;
/** Milliseconds that a process waits for the same before it exits. */
const EXIT_GRACE = 250;

type LoadBalancer = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['loadBalancer']>;

/** Running threads. Node ends all threads when it exits, also inside native code. */
const running = new Set<Threads>();

export interface ThreadsOptions {
  readonly count: number;
  readonly setup: WorkerSetup;
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #safepoints = new Safepoints();
  readonly #piscina: Piscina | null;
  /** By thread id, the reject functions of its pending calls. */
  readonly #unanswered = new Map<number, Set<(reason: Error) => void>>();
  #ending: Promise<boolean> | undefined;
  /** Why a thread died outside of a call. */
  #failure: Error | undefined;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#piscina = this.#start();
    if (running.size === 0) process.on('exit', leaveAll);
    running.add(this);
  }

  /** Ids of the running threads. */
  get ids(): number[] {
    return this.#workers.map(({ threadId }) => threadId);
  }

  /** Whether all are running. Piscina replaces a thread that died, but not one that could not start. */
  get isComplete(): boolean {
    return !this.#ending && this.#workers.length === this.#options.count;
  }

  /** Why no thread is running. */
  get failure(): Error {
    return this.#failure ?? new Error('it was ended');
  }

  /** One call, on the thread `id`. Rejects if the thread ends before it has answered. */
  call(name: CallName, ask: object, id: number): Promise<unknown> {
    const worker = this.#workers.find(({ threadId }) => threadId === id);
    if (!worker || this.#ending) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => reject(this.#reasonOf(id, error));
      const unanswered = this.#unansweredBy(worker);
      unanswered.add(fail);
      const task: ThreadAsk = { name, ask };
      // Piscina reads this symbol for the balancer and does not send it to the thread.
      const to = { [Piscina.queueOptionsSymbol]: { id } };
      void this.#piscina!.run({ ...task, ...to })
        .then(resolve, fail)
        .finally(() => unanswered.delete(fail));
    });
  }

  #unansweredBy(worker: Worker): Set<(reason: Error) => void> {
    const id = worker.threadId;
    let unanswered = this.#unanswered.get(id);
    if (unanswered) return unanswered;
    unanswered = new Set();
    this.#unanswered.set(id, unanswered);
    // Piscina never settles a task whose thread exits before it is ready.
    worker.once('exit', (code) => {
      const cause = this.#safepoints.knows(id) ? undefined : outOfFiles();
      const failure = this.#failure ?? new Error(`it exited with status ${code}`, { cause });
      for (const fail of unanswered) fail(failure);
      this.#unanswered.delete(id);
    });
    return unanswered;
  }

  /** From now on calls reject. Resolves to true when all threads have ended; to false if one of them hangs in native code. */
  end(): Promise<boolean> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** For a process that is about to exit: blocks for at most `limit` milliseconds. Returns whether all are outside of native code. */
  stopNow(limit: number): boolean {
    this.#safepoints.stop();
    const end = performance.now() + limit;
    const outside = this.ids.map((id) => this.#safepoints.outsideNow(id, Math.max(0, end - performance.now())));
    return outside.every(Boolean);
  }

  get #workers(): readonly Worker[] {
    return this.#piscina?.threads ?? [];
  }

  /** `null` if the system has no thread left. */
  #start(): Piscina | null {
    const { count, setup } = this.#options;
    const workerData: ThreadSetup = { ...setup, safepoints: this.#safepoints.memory };
    try {
      const piscina = new Piscina({
        filename: WORKER_FILE,
        workerData,
        minThreads: count,
        maxThreads: count,
        idleTimeout: Number.POSITIVE_INFINITY,
        // A thread that Piscina blocks between calls would neither continue to prepare its engine nor notice that it must end.
        atomics: 'disabled',
        loadBalancer: named,
      });
      piscina.on('error', (error: Error) => {
        this.#failure ??= error;
      });
      return piscina;
    } catch (error) {
      this.#failure = new Error(`it could not start: ${(error as Error).message}`, { cause: error });
      return null;
    }
  }

  #reasonOf(id: number, error: Error): Error {
    const hasStarted = this.#safepoints.knows(id) || this.#ending;
    return hasStarted ? error : new Error(`it could not start: ${error.message}`, { cause: error });
  }

  async #end(): Promise<boolean> {
    const workers = [...this.#workers];
    this.#safepoints.stop();
    for (const unanswered of this.#unanswered.values()) for (const fail of unanswered) fail(new Error('it was ended'));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, END_GRACE, false);
    });
    const ended = Promise.all(workers.map((worker) => this.#outside(worker)))
      .then(() => this.#piscina?.destroy())
      .then(() => true);
    const inTime = await Promise.race([ended, late]);
    clearTimeout(timer);
    if (!inTime) addStuckThread();
    running.delete(this);
    if (running.size === 0) process.off('exit', leaveAll);
    return inTime;
  }

  /** Resolves when the thread is outside of native code, or has exited. */
  #outside(worker: Worker): Promise<unknown> {
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    return Promise.race([this.#safepoints.outside(worker.threadId), exited]);
  }
}

/** Every call names its thread. */
const named: LoadBalancer = (task: PiscinaTask, workers) => {
  const { id } = task[Piscina.queueOptionsSymbol as keyof PiscinaTask] as unknown as { id: number };
  return workers.find((worker) => worker.id === id && !worker.destroyed && !worker.terminating) ?? null;
};

function leaveAll(exitCode: number): void {
  const end = performance.now() + EXIT_GRACE;
  const outside = [...running].map((threads) => threads.stopNow(Math.max(0, end - performance.now())));
  if (!outside.every(Boolean)) leaveProcess(exitCode);
}
