/** A pool whose workers live in a child process of their own: another library beside ours, a crash that stays theirs, memory that can be told apart. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import { TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { setDeadline, timedOut } from './deadline.js';
import { died, Host, patience } from './host.js';
import type { Pool, PoolOptions } from './pool.js';
import type { Answer, Ask, HostCalls, Loaded, Probed } from './protocol.js';
import type { ResidentMemory } from './resident-memory.js';
import { Revival } from './revival.js';

/** What a host can be asked that has been told nothing yet. */
const FIRST_CALLS: ReadonlySet<keyof HostCalls> = new Set(['load', 'describe']);

export class ProcessPool implements Pool {
  readonly options: PoolOptions;
  readonly #arenaFile: number;
  #host: Host | undefined;
  #arena: Arena | undefined;
  #stage = 0;
  #turn = 0;
  #rowsAtOnce: number | null = null;
  /** The calls that brought the host to where it is, in order: what its successor must be told again. */
  readonly #history = new Map<keyof HostCalls, () => Promise<unknown>>();
  readonly #revival = new Revival(
    () => this.#bringBack(),
    async (reason) => this.#end(reason),
  );
  /** Why slots are FAILED in this stage, by their number. */
  readonly #failures = new Map<number, TandemError>();
  /** Calls off the watch over the slots. */
  #callOff: (() => void) | undefined;
  /** A micro-batch that lay ready while nothing was computed, and since when, on the clock of `performance.now()`. */
  #ignored: { readonly microBatch: number; readonly since: number } | undefined;
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, arenaFile: number) {
    this.options = options;
    this.#arenaFile = arenaFile;
    this.#host = this.#start();
  }

  load(slice: Slice): Promise<Loaded> {
    this.#history.clear();
    this.#rowsAtOnce = null;
    return this.#remember('load', () => this.#call('load', { slice, rowsAtOnce: this.#rowsAtOnce }));
  }

  divide(rowsAtOnce: number): Promise<void> {
    this.#rowsAtOnce = rowsAtOnce;
    return this.revive();
  }

  probe(inputs: readonly Tensor[]): Promise<Probed> {
    return this.#remember('probe', () => this.#call('probe', { inputs }));
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    return [...(await this.#call('time', ask)).micros];
  }

  foresee(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#call('foresee', { slice, inputs });
  }

  async attach(stage: number, arena: Arena, turn = 0): Promise<void> {
    await this.#remember('attach', () => this.#call('attach', { stage, turn, layout: arena.layout }));
    this.#stage = stage;
    this.#turn = turn;
    this.#arena = arena;
    this.#serve();
  }

  async detach(): Promise<void> {
    const arena = this.#arena;
    this.#arena = undefined;
    this.#history.delete('attach');
    arena?.halt(this.#stage, this.#turn);
    if (arena && this.#host) await this.#call('detach', {});
  }

  failureOf(slot: number): TandemError {
    const failure = this.#failures.get(slot) ?? this.#ended ?? died('ended without a word');
    this.#failures.delete(slot);
    return failure;
  }

  describe(ask: Ask<'describe'>): Promise<Answer<'describe'>> {
    return this.#call('describe', ask);
  }

  async memory({ restart = false } = {}): Promise<ResidentMemory | null> {
    return this.#host ? this.#call('memory', { restart }) : null;
  }

  revive(): Promise<void> {
    return this.#revival.run();
  }

  /** Settles when the child is gone, so that its memory is free and nothing is left to look after. */
  async close(): Promise<void> {
    const gone = this.#host?.gone;
    this.#end(new TandemError('TANDEM_CLOSED', 'the pipeline has been closed'));
    await gone;
  }

  /** Slots that the host has, or had when it died. */
  #running(): Slot[] {
    return this.#arena?.slots.filter((slot) => this.#isOurs(slot)) ?? [];
  }

  #isOurs(slot: Slot): boolean {
    return slot.isRunning(this.#stage) && slot.turn(this.#stage) === this.#turn;
  }

  #fail(slots: readonly Slot[], reason: TandemError): void {
    for (const slot of slots) {
      this.#failures.set(slot.index, reason);
      slot.fail(this.#stage);
    }
  }

  async #bringBack(): Promise<void> {
    const host = this.#host;
    host?.kill(died('was ended to be started anew'));
    // Until then it may write into slots.
    await host?.gone;
    for (const step of this.#history.values()) await step();
    if (this.#arena) this.#serve();
  }

  #serve(): void {
    this.#watchSlots();
    void this.#call('serve', {}).catch(() => {});
  }

  /** From here on every call, waiting ones too, rejects with `reason`; the first reason stays. */
  #end(reason: TandemError): void {
    this.#ended ??= reason;
    this.#callOff?.();
    this.#host?.kill(this.#ended);
    this.#arena?.halt(this.#stage, this.#turn);
  }

  async #remember<T>(name: keyof HostCalls, step: () => Promise<T>): Promise<T> {
    const answer = await step();
    this.#history.delete(name);
    this.#history.set(name, step);
    return answer;
  }

  async #call<K extends keyof HostCalls>(name: K, ask: HostCalls[K]['ask']): Promise<HostCalls[K]['answer']> {
    if (this.#ended) throw this.#ended;
    // A host that starts in the place of one that died knows nothing of what that was told.
    if (!this.#host && !FIRST_CALLS.has(name)) throw died('had ended before');
    this.#host ??= this.#start();
    return this.#host.call(name, ask);
  }

  /** A host that is stuck as a whole: with what it has begun, or with what lies ready while it does nothing, for which this looks now and then. */
  #watchSlots(): void {
    const { deadline } = this.options;
    const limit = patience(deadline);
    const owed = () => Math.max(this.#ignoredFor(), ...this.#running().map((slot) => slot.runningFor(this.#stage)));
    this.#callOff?.();
    this.#callOff = setDeadline(
      () => Math.min(limit - owed(), limit / 4),
      () => {
        this.#host?.kill(timedOut('run', deadline));
      },
    );
  }

  /** Milliseconds. */
  #ignoredFor(): number {
    const isBusy = this.#running().length > 0 || this.#revival.underWay;
    const ready = isBusy ? undefined : this.#arena?.slots.find((slot) => slot.isReady(this.#stage, this.#turn));
    const now = performance.now();
    if (!ready) this.#ignored = undefined;
    else if (this.#ignored?.microBatch !== ready.microBatch)
      this.#ignored = { microBatch: ready.microBatch, since: now };
    return this.#ignored ? now - this.#ignored.since : 0;
  }

  #start(): Host {
    return new Host(this.options, this.#arenaFile, {
      failed: (host, index, reason) => {
        const slot = this.#host === host ? this.#arena?.slots[index] : undefined;
        if (slot && this.#isOurs(slot)) this.#fail([slot], reason);
      },
      knocked: () => this.#arena?.look(),
      gone: (host, reason) => this.#lose(host, reason),
    });
  }

  #lose(host: Host, reason: TandemError): void {
    if (this.#host !== host) return;
    this.#host = undefined;
    const held = this.#running();
    this.#fail(held, this.#ended ?? reason);
    // It may have ended a micro-batch, and died before it could say so.
    this.#arena?.look();
    // With nothing in its hands nobody else would miss it.
    if (this.#arena && held.length === 0 && !this.#ended) void this.revive().catch(() => {});
  }
}
