/** A pool whose workers are threads of this process. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import { fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { hasBeenClosed } from './closed.js';
import { from, setDeadline, timedOut } from './deadline.js';
import { type Pool, type PoolOptions, PREPARE_DEADLINE } from './pool.js';
import { Failures, Post } from './post.js';
import type { Answer, Ask, CallName, Loaded, Probed, Reply } from './protocol.js';
import { Revival } from './revival.js';
import { Threads } from './threads.js';

export class ThreadPool implements Pool {
  readonly options: PoolOptions;
  /** Told of slots that cannot be computed, where it is not for this side of a wall to fail them. */
  readonly #tell: ((slot: number, reason: TandemError) => void) | undefined;
  #threads: Threads;
  #post: Post | undefined;
  #rowsAtOnce: number | null = null;
  readonly #failures = new Failures();
  /** Calls off the watch over how long micro-batches take. */
  #callOff: (() => void) | undefined;
  /** By worker id: settles when it serves no more, however that came. */
  readonly #serving = new Map<number, Promise<void>>();
  /** The calls that brought the workers to where they are, in order: what a replacement must be told again. */
  readonly #history: Step[] = [];
  readonly #revival = new Revival(
    () => this.#bringBack(),
    (reason) => this.#end(reason),
  );
  /** What becomes of micro-batches that come while it closes. */
  #closing: TandemError | undefined;
  /** Why the pool takes no more calls, once it does not. */
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, tell?: (slot: number, reason: TandemError) => void) {
    this.options = options;
    this.#tell = tell;
    this.#threads = this.#start();
  }

  load(slice: Slice, rowsAtOnce: number | null = null): Promise<Loaded> {
    this.#history.length = 0;
    this.#rowsAtOnce = rowsAtOnce;
    return this.#prepare('load', () => ({ slice, rowsAtOnce: this.#rowsAtOnce }));
  }

  async divide(rowsAtOnce: number): Promise<void> {
    this.#rowsAtOnce = rowsAtOnce;
    void this.#threads.end();
    await this.revive();
  }

  probe(inputs: readonly Tensor[]): Promise<Probed> {
    return this.#prepare('probe', () => ({ inputs }));
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    await this.#halt();
    const timed = await Promise.all(this.#threads.ids.map((worker) => this.#call('time', ask, worker)));
    return timed.flatMap(({ micros }) => micros);
  }

  foresee(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#askOne('foresee', { slice, inputs });
  }

  async attach(stage: number, arena: Arena, turn = 0): Promise<void> {
    await this.join(stage, arena, turn);
    this.serve();
  }

  /** What `attach` does before the workers begin. */
  async join(stage: number, arena: Arena, turn: number): Promise<void> {
    const { layout, place } = arena;
    await this.#prepare('attach', () => ({ layout, place, stage, turn }));
    this.#post = new Post(arena, stage, turn);
  }

  detach(): Promise<void> {
    return this.#halt();
  }

  failureOf(slot: number): TandemError {
    return this.#failures.take(slot) ?? this.#ended ?? this.#closing ?? died('without a word');
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#askOne('describe', ask);
  }

  /** Threads share the memory of their process: it cannot be told apart. */
  async memory(): Promise<null> {
    return null;
  }

  revive(): Promise<void> {
    return this.#revival.run();
  }

  async close(): Promise<void> {
    const closed = hasBeenClosed();
    this.#closing = closed;
    // TensorFlow frees tensors through the thread that made them, and crashes the process when that thread has ended before.
    if (!this.#ended && !this.#post?.running.length) {
      await this.#halt();
      await Promise.allSettled(this.#threads.ids.map((worker) => this.#call('dispose', {}, worker)));
    }
    await this.#end(closed);
  }

  #start(): Threads {
    const { engine, engineOptions, workers, model } = this.options;
    return new Threads({ count: workers, setup: { engine, options: engineOptions, model } });
  }

  /** Sets every worker to work that does not work yet. */
  serve(): void {
    this.#watch();
    for (const id of this.#threads.ids) {
      if (this.#serving.has(id)) continue;
      const serving = this.#serve(id).finally(() => this.#serving.delete(id));
      this.#serving.set(id, serving);
    }
  }

  /** One worker's service: over one micro-batch that failed to the next, until it is halted or dies. */
  async #serve(worker: number): Promise<void> {
    try {
      for (;;) {
        const reply = (await this.#threads.call('serve', {}, worker)) as Reply<Answer<'serve'>>;
        if ('error' in reply) throw fromWire(reply.error);
        if (!reply.ok) return;
        this.#fail([this.#post!.arena.slots[reply.ok.slot]!], fromWire(reply.ok.error));
      }
    } catch (error) {
      const lost = this.#ended ?? (error instanceof TandemError ? error : died((error as Error).message, error));
      const post = this.#post;
      const held = post?.running.filter((slot) => slot.isHeldBy(worker, post.stage)) ?? [];
      this.#fail(held, lost);
      // With nothing in its hands nobody would miss it until there is nobody left.
      if (held.length === 0 && !this.#ended) void this.revive().catch(() => {});
    }
  }

  /** Brings the workers back from their service, so that they take other calls; what they have begun is finished first. */
  async #halt(): Promise<void> {
    this.#post?.halt();
    this.#post = undefined;
    await Promise.all(this.#serving.values());
  }

  #fail(slots: readonly Slot[], reason: TandemError): void {
    if (this.#tell) for (const { index } of slots) this.#tell(index, reason);
    else if (this.#post) this.#failures.add(this.#post, slots, reason);
  }

  /** One clock for all micro-batches: it strikes when the first of them has no time left. */
  #watch(): void {
    const { deadline } = this.options;
    const left = () => deadline - (this.#post?.runningFor ?? 0);
    this.#callOff ??= setDeadline(left, () => this.#strike());
  }

  /** A worker hangs. One thread alone cannot be ended; what the others lose with it is run again. */
  #strike(): void {
    this.#callOff = undefined;
    const { deadline } = this.options;
    const post = this.#post;
    const late = post?.running.filter((slot) => slot.runningFor(post.stage) >= deadline) ?? [];
    // First of all: who is told of a failure asks for replacements within the telling.
    void this.#threads.end();
    this.#fail(late, timedOut('run', deadline));
  }

  async #bringBack(): Promise<void> {
    if (!this.#threads.whole) {
      if (!(await this.#threads.end())) throw stuckInNativeCode();
      await Promise.all(this.#serving.values());
      this.#threads = this.#start();
    }
    await this.#tellAll(this.#history);
    this.serve();
  }

  /** From here on every call, waiting ones too, rejects with `reason`; the first reason stays. */
  async #end(reason: TandemError): Promise<void> {
    if (this.#ended) return;
    this.#ended = reason;
    this.#callOff?.();
    this.#fail(this.#post?.running ?? [], reason);
    this.#post?.halt();
    await this.#threads.end();
  }

  /** What any worker can answer. */
  async #askOne<K extends 'foresee' | 'describe'>(name: K, ask: Ask<K>): Promise<Answer<K>> {
    await this.#halt();
    return this.#call(name, ask, this.#threads.ids[0]);
  }

  /** One call on every worker; the answer of the one that had it first. */
  async #prepare<K extends 'load' | 'probe' | 'attach'>(name: K, ask: () => Ask<K>): Promise<Answer<K>> {
    await this.#halt();
    let first: { answer: Answer<K> } | undefined;
    const tell = async (worker: number) => {
      const answer = await this.#call(name, ask(), worker);
      first ??= { answer };
    };
    const step: Step = { told: new Set(), tell };
    await this.#tellAll([...this.#history, step]);
    this.#history.push(step);
    return first!.answer;
  }

  /** Leads every worker through these calls in their order, one worker at a time, and whoever comes in the place of one that dies meanwhile. */
  async #tellAll(steps: readonly Step[]): Promise<void> {
    for (;;) {
      if (this.#ended) throw this.#ended;
      const { ids } = this.#threads;
      if (ids.length === 0) throw new TandemError('TANDEM_STAGE_DIED', 'no worker could be started');
      const worker = ids.find((id) => steps.some(({ told }) => !told.has(id)));
      if (worker === undefined) return;
      const next = steps.find(({ told }) => !told.has(worker))!;
      await next.tell(worker);
      next.told.add(worker);
    }
  }

  async #call<K extends CallName>(name: K, ask: Ask<K>, worker: number | undefined): Promise<Answer<K>> {
    if (this.#ended) throw this.#ended;
    if (worker === undefined) throw died('could not be started');
    const { prepareDeadline = PREPARE_DEADLINE } = this.options;
    const callOff = setDeadline(from(prepareDeadline), () => void this.#end(timedOut(name, prepareDeadline)));
    try {
      const reply = (await this.#threads.call(name, ask, worker)) as Reply<Answer<K>>;
      if ('error' in reply) throw fromWire(reply.error);
      return reply.ok;
    } catch (error) {
      if (error instanceof TandemError) throw error;
      throw this.#ended ?? died((error as Error).message, error);
    } finally {
      callOff();
    }
  }
}

/** A call that each worker must have had once. */
interface Step {
  /** Worker ids. */
  readonly told: Set<number>;
  readonly tell: (worker: number) => Promise<void>;
}

function died(how: string, cause?: unknown): TandemError {
  return new TandemError('TANDEM_STAGE_DIED', `a worker died: ${how}`, { cause });
}

function stuckInNativeCode(): TandemError {
  return new TandemError('TANDEM_STAGE_TIMEOUT', 'a worker hangs in native code, where a thread cannot be ended', {
    remedy: 'run with --isolation process: a process can always be ended and started again',
  });
}
