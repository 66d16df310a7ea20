/** A pool whose workers are threads of this process. */
import type { Arena } from '../arena/arena.js';
import type { Parts } from '../engine/in-parts.js';
import { fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { Assignment, Failures, type Held } from './assignment.js';
import { hasBeenClosed } from './closed.js';
import { from, setDeadline, timedOut } from './deadline.js';
import { type Pool, type PoolOptions, PREPARE_DEADLINE_MS } from './pool.js';
import type { Answer, Ask, CallName, Loaded, Probed, Reply } from './protocol.js';
import { Restart } from './restart.js';
import { stuckInNativeCode } from './stuck-threads.js';
import { Threads } from './threads.js';

export class ThreadPool implements Pool {
  readonly options: PoolOptions;
  /** Called for slots that cannot be computed, if this side of the process boundary must not fail them itself. */
  readonly #onFailed: ((slot: number, reason: TandemError) => void) | undefined;
  #threads: Threads;
  #assignment: Assignment | undefined;
  #parts: readonly Parts[] | null = null;
  readonly #failures = new Failures();
  /** Cancels the deadline of micro-batches. */
  #cancelDeadline: (() => void) | undefined;
  /** By worker id: resolves when it has stopped serving, for any reason. */
  readonly #serving = new Map<number, Promise<void>>();
  /** Worker ids by worker index. */
  readonly #indices = new Map<number, number>();
  /** The calls that set up the workers, in order; replayed on a replacement. */
  readonly #replaySteps: Step[] = [];
  readonly #restart = new Restart(
    () => this.#replay(),
    (reason) => this.#end(reason),
  );
  /** The reason for micro-batches that fail while it closes. */
  #closing: TandemError | undefined;
  /** Why the pool has ended, once it has. */
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, onFailed?: (slot: number, reason: TandemError) => void) {
    this.options = options;
    this.#onFailed = onFailed;
    this.#threads = this.#start();
  }

  get rowsAtOnce(): number | null {
    return this.#parts?.[0]?.rows ?? null;
  }

  load(slices: readonly Slice[], resident = slices.length, parts: readonly Parts[] | null = null): Promise<Loaded> {
    this.#replaySteps.length = 0;
    this.#parts = parts;
    return this.#prepare('load', () => ({ slices, parts: this.#parts, resident }));
  }

  async divide(parts: readonly Parts[]): Promise<void> {
    this.#parts = parts;
    void this.#threads.end();
    await this.restart();
  }

  probe(slice: string, inputs: readonly Tensor[]): Promise<Probed> {
    return this.#prepare('probe', () => ({ slice, inputs }));
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    await this.#halt();
    // Each run may take as long as a micro-batch, the first one too.
    const limit = ask.millis + (ask.runs + 1) * this.options.deadlineMs;
    const timed = await Promise.all(this.#threads.ids.map((worker) => this.#call('time', ask, worker, limit)));
    return timed.flatMap(({ micros }) => micros);
  }

  infer(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#askOne('infer', { slice, inputs });
  }

  async attach(arena: Arena, pool: number): Promise<void> {
    await this.join(arena, pool);
    this.serve();
  }

  /** What `attach` does before the workers begin. */
  async join(arena: Arena, pool: number): Promise<void> {
    const { layout, handle } = arena;
    await this.#prepare('attach', (worker) => ({ layout, handle, pool, workerIndex: this.#indexOf(worker) }));
    this.#assignment = new Assignment(arena, pool);
  }

  detach(): Promise<void> {
    return this.#halt();
  }

  failureOf(slot: number): TandemError {
    return this.#failures.take(slot) ?? this.#ended ?? this.#closing ?? died(new Error('it gave no reason'));
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#askOne('describe', ask);
  }

  readonly pid = null;

  /** Threads share the memory of their process, so it cannot be measured by stage. */
  async memory(): Promise<null> {
    return null;
  }

  restart(): Promise<void> {
    return this.#restart.run();
  }

  async close(): Promise<void> {
    const closed = hasBeenClosed();
    this.#closing = closed;
    // TensorFlow frees tensors through the thread that made them, and crashes the process if that thread has ended before.
    if (!this.#ended && !this.#assignment?.running.length) {
      await this.#halt();
      await Promise.allSettled(this.#threads.ids.map((worker) => this.#call('dispose', {}, worker)));
    }
    await this.#end(closed);
  }

  /** The worker's index; a replacement has the index of the worker that it replaces. */
  #indexOf(worker: number): number {
    const { ids } = this.#threads;
    for (const [workerIndex, id] of this.#indices) if (!ids.includes(id)) this.#indices.delete(workerIndex);
    const own = [...this.#indices].find(([, id]) => id === worker);
    if (own) return own[0];
    let workerIndex = 0;
    while (this.#indices.has(workerIndex)) workerIndex += 1;
    this.#indices.set(workerIndex, worker);
    return workerIndex;
  }

  #start(): Threads {
    const { engine, engineOptions, workers, model } = this.options;
    return new Threads({ count: workers, setup: { engine, options: engineOptions, model } });
  }

  /** Starts the service of every worker that does not serve yet. */
  serve(): void {
    this.#watch();
    for (const id of this.#threads.ids) {
      if (this.#serving.has(id)) continue;
      const serving = this.#serve(id).finally(() => this.#serving.delete(id));
      this.#serving.set(id, serving);
    }
  }

  /** One worker's service, until it is halted or dies; it continues after a failed micro-batch. */
  async #serve(worker: number): Promise<void> {
    try {
      for (;;) {
        const reply = (await this.#threads.call('serve', {}, worker)) as Reply<Answer<'serve'>>;
        if ('error' in reply) throw fromWire(reply.error);
        if (!reply.ok) return;
        const assignment = this.#assignment;
        if (assignment) this.#fail(assignment.held(assignment.arena.slots[reply.ok.slot]!), fromWire(reply.ok.error));
      }
    } catch (error) {
      const lost = this.#ended ?? (error instanceof TandemError ? error : died(error as Error));
      const assignment = this.#assignment;
      const held = assignment?.running.filter(({ slot }) => slot.isHeldBy(worker, assignment.pool)) ?? [];
      // It held no slot, so no failure would restart it.
      if (!this.#fail(held, lost) && !this.#ended) void this.restart().catch(() => {});
    }
  }

  /** Ends the workers' service, so that they take other calls; slots that they hold are computed first. */
  async #halt(): Promise<void> {
    this.#assignment?.halt();
    this.#assignment = undefined;
    await Promise.all(this.#serving.values());
  }

  /** Returns whether any slot failed. */
  #fail(held: readonly Held[], reason: TandemError): boolean {
    if (!this.#onFailed) return this.#failures.add(held, reason);
    for (const { slot } of held) this.#onFailed(slot.index, reason);
    return held.length > 0;
  }

  /** One deadline for all micro-batches: that of the oldest. */
  #watch(): void {
    const { deadlineMs } = this.options;
    const left = () => deadlineMs - (this.#assignment?.runningFor ?? 0);
    this.#cancelDeadline ??= setDeadline(left, () => this.#onDeadline());
  }

  /** A worker hangs. Threads cannot be ended one by one; slots that the others lose are run again. */
  #onDeadline(): void {
    this.#cancelDeadline = undefined;
    const { deadlineMs } = this.options;
    const assignment = this.#assignment;
    const late = assignment?.running.filter(({ slot }) => slot.runningFor(assignment.pool) >= deadlineMs) ?? [];
    // Before slots fail, since the coordinator asks for a restart during `fail`.
    void this.#threads.end();
    this.#fail(late, timedOut('run', deadlineMs));
  }

  async #replay(): Promise<void> {
    if (!this.#threads.isComplete) {
      const inTime = await this.#threads.end();
      // A worker that was stopped between two micro-batches may have accepted the second.
      this.#fail(this.#assignment?.running ?? [], died(new Error('it was ended')));
      if (!inTime) throw stuckInNativeCode();
      await Promise.all(this.#serving.values());
      // The pool was closed meanwhile, so new threads would never be ended.
      if (this.#ended) throw this.#ended;
      this.#threads = this.#start();
    }
    await this.#runSteps(this.#replaySteps);
    this.serve();
  }

  /** From now on every call, pending ones too, rejects with `reason`; the first reason stays. */
  async #end(reason: TandemError): Promise<void> {
    if (!this.#ended) {
      this.#ended = reason;
      this.#cancelDeadline?.();
      // First, so that workers accept nothing more.
      this.#assignment?.halt();
      this.#fail(this.#assignment?.running ?? [], reason);
    }
    await this.#threads.end();
    // Slots that workers accepted before the halt are not computed any more.
    this.#fail(this.#assignment?.running ?? [], this.#ended);
  }

  /** A call that any worker can answer. */
  async #askOne<K extends 'infer' | 'describe'>(name: K, ask: Ask<K>): Promise<Answer<K>> {
    await this.#halt();
    return this.#call(name, ask, this.#threads.ids[0]);
  }

  /** One call on every worker; returns the first answer. */
  async #prepare<K extends 'load' | 'probe' | 'attach'>(name: K, ask: (worker: number) => Ask<K>): Promise<Answer<K>> {
    await this.#halt();
    let first: { answer: Answer<K> } | undefined;
    const run = async (worker: number) => {
      const answer = await this.#call(name, ask(worker), worker);
      first ??= { answer };
    };
    const step: Step = { done: new Set(), run };
    await this.#runSteps([...this.#replaySteps, step]);
    this.#replaySteps.push(step);
    return first!.answer;
  }

  /** Makes these calls on every worker, in order and one worker at a time; also on replacements of workers that die meanwhile. */
  async #runSteps(steps: readonly Step[]): Promise<void> {
    for (;;) {
      if (this.#ended) throw this.#ended;
      const { ids } = this.#threads;
      if (ids.length === 0) throw died(this.#threads.failure);
      const worker = ids.find((id) => steps.some(({ done }) => !done.has(id)));
      if (worker === undefined) return;
      const next = steps.find(({ done }) => !done.has(worker))!;
      await next.run(worker);
      next.done.add(worker);
    }
  }

  async #call<K extends CallName>(
    name: K,
    ask: Ask<K>,
    worker: number | undefined,
    limit = this.options.prepareDeadlineMs ?? PREPARE_DEADLINE_MS,
  ): Promise<Answer<K>> {
    if (this.#ended) throw this.#ended;
    if (worker === undefined) throw died(this.#threads.failure);
    const cancel = setDeadline(from(limit), () => void this.#end(timedOut(name, limit)));
    try {
      const reply = (await this.#threads.call(name, ask, worker)) as Reply<Answer<K>>;
      if ('error' in reply) throw fromWire(reply.error);
      return reply.ok;
    } catch (error) {
      if (error instanceof TandemError) throw error;
      throw this.#ended ?? died(error as Error);
    } finally {
      cancel();
    }
  }
}

/** A call that is made once on each worker. */
interface Step {
  /** Ids of the workers that have answered it. */
  readonly done: Set<number>;
  readonly run: (worker: number) => Promise<void>;
}

function died(cause: Error): TandemError {
  return new TandemError('TANDEM_STAGE_DIED', `a worker died: ${cause.message}`, { cause });
}
