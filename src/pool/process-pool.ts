/** A pool whose workers live in a child process: with its own libraries and its own memory, and a crash does not affect this process. */
import type { Arena } from '../arena/arena.js';
import type { ProcessLink } from '../arena/process-link.js';
import type { Parts } from '../engine/in-parts.js';
import type { TandemError } from '../errors.js';
import type { ResidentMemory } from '../machine/resident-memory.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { Assignment, Failures } from './assignment.js';
import { hasBeenClosed } from './closed.js';
import { setDeadline, timedOut } from './deadline.js';
import { died, Host, hostTimeout, isDeath } from './host.js';
import type { Pool, PoolOptions } from './pool.js';
import type { Answer, Ask, HostCalls, Loaded, Probed } from './protocol.js';
import { givenUp, MOST_DEATHS, Restart } from './restart.js';

/** The calls that a new host can answer. */
const FIRST_CALLS: ReadonlySet<keyof HostCalls> = new Set(['load', 'describe']);

export class ProcessPool implements Pool {
  readonly options: PoolOptions;
  readonly #processLink: ProcessLink;
  #host: Host | undefined;
  #assignment: Assignment | undefined;
  #parts: readonly Parts[] | null = null;
  /** The calls that set up the host, in order; replayed on a new host. */
  readonly #replaySteps = new Map<string, () => Promise<unknown>>();
  readonly #restart = new Restart(
    () => this.#replay(),
    async (reason) => this.#end(reason),
  );
  readonly #failures = new Failures();
  /** Cancels the deadline of the slots. */
  #cancelDeadline: (() => void) | undefined;
  /** A micro-batch that is READY while the host computes nothing, and since when, on the clock of `performance.now()`. */
  #ignored: { readonly microBatch: number; readonly since: number } | undefined;
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, processLink: ProcessLink) {
    this.options = options;
    this.#processLink = processLink;
    this.#host = this.#start();
  }

  get rowsAtOnce(): number | null {
    return this.#parts?.[0]?.rows ?? null;
  }

  load(slices: readonly Slice[], resident = slices.length): Promise<Loaded> {
    this.#replaySteps.clear();
    this.#parts = null;
    return this.#insist('load', () => this.#call('load', { slices, parts: this.#parts, resident }));
  }

  divide(parts: readonly Parts[]): Promise<void> {
    this.#parts = parts;
    return this.restart();
  }

  probe(slice: string, inputs: readonly Tensor[]): Promise<Probed> {
    return this.#insist(`probe ${slice}`, () => this.#call('probe', { slice, inputs }));
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    return [...(await this.#insist(null, () => this.#call('time', ask))).micros];
  }

  infer(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#insist(null, () => this.#call('infer', { slice, inputs }));
  }

  async attach(arena: Arena, pool: number): Promise<void> {
    await this.#insist('attach', () => this.#call('attach', { layout: arena.layout, pool }));
    this.#assignment = new Assignment(arena, pool);
    this.#serve();
  }

  async detach(): Promise<void> {
    const assignment = this.#assignment;
    this.#assignment = undefined;
    this.#replaySteps.delete('attach');
    assignment?.halt();
    // A host that dies meanwhile is detached too.
    if (assignment && this.#host)
      await this.#call('detach', {}).catch((error) => {
        if (!isDeath(error)) throw error;
      });
  }

  failureOf(slot: number): TandemError {
    return this.#failures.take(slot) ?? this.#ended ?? died('ended without a reason');
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#insist(null, () => this.#call('describe', ask));
  }

  get pid(): number | null {
    return this.#host?.pid ?? null;
  }

  async memory({ restart = false } = {}): Promise<ResidentMemory | null> {
    return this.#insist(null, async () => (this.#host ? this.#call('memory', { restart }) : null));
  }

  restart(): Promise<void> {
    return this.#restart.run();
  }

  /** Resolves when the child has exited, so its memory is free. */
  async close(): Promise<void> {
    const exited = this.#host?.exited;
    this.#end(hasBeenClosed());
    await exited;
  }

  async #replay(): Promise<void> {
    const host = this.#host;
    host?.kill(died('was ended to be restarted'));
    // Until its exit it may write into slots.
    await host?.exited;
    for (const step of this.#replaySteps.values()) await step();
    if (this.#assignment) this.#serve();
  }

  #serve(): void {
    this.#watchSlots();
    void this.#call('serve', {}).catch(() => {});
  }

  /** From now on every call, pending ones too, rejects with `reason`; the first reason stays. */
  #end(reason: TandemError): void {
    this.#ended ??= reason;
    this.#cancelDeadline?.();
    this.#host?.kill(this.#ended);
    this.#assignment?.halt();
  }

  /**
   * Retries `step` on a new host if the host dies, at most MOST_DEATHS times. A new host replays the earlier calls first. With a `name`, `step`
   * is remembered for later replays.
   */
  async #insist<T>(name: string | null, step: () => Promise<T>): Promise<T> {
    for (let count = 1; ; count++) {
      try {
        if (this.#restart.isRunning || (!this.#host && this.#replaySteps.size > 0)) await this.restart();
        const answer = await step();
        if (name) this.#remember(name, step);
        return answer;
      } catch (error) {
        if (this.#ended || !isDeath(error)) throw error;
        if (count === MOST_DEATHS) this.#end(givenUp(error));
      }
    }
  }

  #remember(name: string, step: () => Promise<unknown>): void {
    this.#replaySteps.delete(name);
    this.#replaySteps.set(name, step);
  }

  async #call<K extends keyof HostCalls>(name: K, ask: HostCalls[K]['ask']): Promise<HostCalls[K]['answer']> {
    if (this.#ended) throw this.#ended;
    // A new host has not received the calls of the host before it.
    if (!this.#host && !FIRST_CALLS.has(name)) throw died('had ended before');
    this.#host ??= this.#start();
    return this.#host.call(name, ask);
  }

  /** Kills a host that hangs as a whole: with a slot that it holds, or with a READY slot that it does not accept. */
  #watchSlots(): void {
    const { deadlineMs } = this.options;
    const limit = hostTimeout(deadlineMs);
    const overdue = () => Math.max(this.#ignoredFor(), this.#assignment?.runningFor ?? 0);
    this.#cancelDeadline?.();
    this.#cancelDeadline = setDeadline(
      () => Math.min(limit - overdue(), limit / 4),
      () => {
        this.#host?.kill(timedOut('run', deadlineMs));
      },
    );
  }

  /** Milliseconds since a slot is READY while the host computes nothing. */
  #ignoredFor(): number {
    const assignment = this.#assignment;
    const isBusy = !assignment || assignment.running.length > 0 || this.#restart.isRunning || assignment.waitsForBlock;
    const ready = isBusy ? undefined : assignment.arena.slots.find((slot) => slot.isReady(assignment.pool));
    const now = performance.now();
    if (!ready) this.#ignored = undefined;
    else if (this.#ignored?.microBatch !== ready.microBatch)
      this.#ignored = { microBatch: ready.microBatch, since: now };
    return this.#ignored ? now - this.#ignored.since : 0;
  }

  #start(): Host {
    return new Host(this.options, this.#processLink, {
      failed: (host, index, reason) => {
        const assignment = this.#assignment;
        const slot = this.#host === host ? assignment?.arena.slots[index] : undefined;
        if (!slot || this.#failures.add(assignment!.held(slot), reason)) return;
        // The worker gave its slot away before it died: no slot fails, so no one else would restart it.
        if (!this.#ended) void this.restart().catch(() => {});
      },
      exited: (host, reason) => this.#lose(host, reason),
    });
  }

  #lose(host: Host, reason: TandemError): void {
    if (this.#host !== host) return;
    this.#host = undefined;
    const assignment = this.#assignment;
    if (!assignment) return;
    const anyFailed = this.#failures.add(assignment.running, this.#ended ?? reason);
    // It may have finished a micro-batch and died before it notified the coordinator.
    assignment.arena.look();
    // It held no slot, so no failure would restart it.
    if (!anyFailed && !this.#ended) void this.restart().catch(() => {});
  }
}
