/** A pool whose workers are threads of this process. */
import type { Arena } from '../arena/arena.js';
import { fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { from, setDeadline, timedOut } from './deadline.js';
import { type Pool, type PoolOptions, PREPARE_DEADLINE } from './pool.js';
import type { Answer, Ask, CallName, Loaded, Probed, Ran, Reply } from './protocol.js';
import { Revival } from './revival.js';
import { TASKS_PER_WORKER, Threads } from './threads.js';

interface CallOptions {
  /** Id of the worker that is meant; any attached one by default. */
  readonly worker?: number;
  /** Milliseconds left to it, and what is done when there are none; by default all the time for preparing, and the pool's end. */
  readonly left?: () => number;
  readonly onTimeout?: () => unknown;
}

export class ThreadPool implements Pool {
  readonly options: PoolOptions;
  readonly waitsForSlots = true;
  #threads: Threads;
  #arena: Arena | undefined;
  #stage = 0;
  /** Ids of the workers that may be given micro-batches. */
  readonly #attached = new Set<number>();
  /** The calls that brought the workers to where they are, in order: what a replacement must be told again. */
  readonly #history: (() => Promise<unknown>)[] = [];
  /** Micro-batches that workers hold, and those that wait until one may. */
  #held = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #revival = new Revival(
    () => this.#bringBack(),
    (reason) => this.#end(reason),
  );
  /** Why the pool takes no more calls, once it does not. */
  #ended: TandemError | undefined;

  constructor(options: PoolOptions) {
    this.options = options;
    this.#threads = this.#start();
  }

  load(slice: Slice): Promise<Loaded> {
    this.#history.length = 0;
    return this.#prepare('load', { slice });
  }

  probe(inputs: readonly Tensor[]): Promise<Probed> {
    return this.#prepare('probe', { inputs });
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    const timed = await Promise.all(this.#threads.ids.map((worker) => this.#call('time', ask, { worker })));
    return timed.flatMap(({ micros }) => micros);
  }

  foresee(inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#call('foresee', { inputs }, { worker: this.#threads.ids[0] });
  }

  async attach(stage: number, arena: Arena): Promise<void> {
    this.#arena = arena;
    this.#stage = stage;
    const { memory, layout, file } = arena;
    await this.#prepare('attach', { memory, layout, stage, file });
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
    const { deadline } = this.options;
    const left = () => deadline - this.#arena!.slots[slot]!.runningFor(this.#stage);
    try {
      // One thread alone cannot be ended; what the others lose with it is run again.
      return await this.#call('run', { slot }, { left, onTimeout: () => this.#threads.end() });
    } finally {
      this.#held -= 1;
      this.#waiting.shift()?.();
    }
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#call('describe', ask, { worker: this.#threads.ids[0] });
  }

  /** Threads share the memory of their process: it cannot be told apart. */
  async memory(): Promise<null> {
    return null;
  }

  revive(): Promise<void> {
    return this.#revival.run();
  }

  async close(): Promise<void> {
    // TensorFlow frees tensors through the thread that made them, and crashes the process when that thread has ended before.
    if (!this.#ended && this.#held === 0) {
      await Promise.allSettled(this.#threads.ids.map((worker) => this.#call('dispose', {}, { worker })));
    }
    await this.#end(new TandemError('TANDEM_CLOSED', 'the pipeline has been closed'));
  }

  #start(): Threads {
    const { engine, engineOptions, workers } = this.options;
    return new Threads({
      count: workers,
      setup: { engine, options: engineOptions },
      onAttach: (id) => this.#attached.add(id),
      isAttached: (id) => this.#attached.has(id),
    });
  }

  async #bringBack(): Promise<void> {
    if (!this.#threads.whole) {
      if (!(await this.#threads.end())) throw stuckInNativeCode();
      this.#threads = this.#start();
    }
    for (const step of this.#history) await step();
    this.#wakeAll();
  }

  /** From here on every call, waiting ones too, rejects with `reason`; the first reason stays. */
  async #end(reason: TandemError): Promise<void> {
    if (this.#ended) return;
    this.#ended = reason;
    this.#wakeAll();
    await this.#threads.end();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Micro-batches that the living, attached workers may hold together. */
  #room(): number {
    return this.#threads.ids.filter((id) => this.#attached.has(id)).length * TASKS_PER_WORKER;
  }

  /** One call on every worker that has not had it, one worker at a time; the first one's answer. */
  async #prepare<K extends 'load' | 'probe' | 'attach'>(name: K, ask: Ask<K>): Promise<Answer<K>> {
    const told = new Set<number>();
    let first: { answer: Answer<K> } | undefined;
    const tellAll = async () => {
      if (this.#ended) throw this.#ended;
      if (this.#threads.ids.length === 0) throw new TandemError('TANDEM_STAGE_DIED', 'no worker could be started');
      for (const id of this.#threads.ids) {
        if (told.has(id)) continue;
        const answer = await this.#call(name, ask, { worker: id });
        told.add(id);
        first ??= { answer };
      }
    };
    await tellAll();
    this.#history.push(tellAll);
    return first!.answer;
  }

  async #call<K extends CallName>(name: K, ask: Ask<K>, options: CallOptions = {}): Promise<Answer<K>> {
    if (this.#ended) throw this.#ended;
    const { worker, left, onTimeout } = options;
    const { deadline, prepareDeadline = PREPARE_DEADLINE } = this.options;
    let timeout: TandemError | undefined;
    const callOff = setDeadline(left ?? from(prepareDeadline), () => {
      timeout = timedOut(name, left ? deadline : prepareDeadline);
      void (onTimeout ? onTimeout() : this.#end(timeout));
    });
    try {
      const reply = (await this.#threads.call(name, ask, worker)) as Reply<Answer<K>>;
      if ('error' in reply) throw fromWire(reply.error);
      return reply.ok;
    } catch (error) {
      if (error instanceof TandemError) throw error;
      const died = () =>
        new TandemError('TANDEM_STAGE_DIED', `a worker died: ${(error as Error).message}`, { cause: error });
      throw timeout ?? this.#ended ?? died();
    } finally {
      callOff();
    }
  }
}

function stuckInNativeCode(): TandemError {
  return new TandemError('TANDEM_STAGE_TIMEOUT', 'a worker hangs in native code, where a thread cannot be ended', {
    remedy: 'run with --isolation process: a process can always be ended and started again',
  });
}
