/** A pool whose workers live in a child process of their own: another library beside ours, a crash that stays theirs, memory that can be told apart. */
import type { Arena } from '../arena/arena.js';
import type { Joint } from '../arena/joint.js';
import type { TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { hasBeenClosed } from './closed.js';
import { setDeadline, timedOut } from './deadline.js';
import { died, Host, patience } from './host.js';
import type { Pool, PoolOptions } from './pool.js';
import { Failures, Post } from './post.js';
import type { Answer, Ask, HostCalls, Loaded, Probed } from './protocol.js';
import type { ResidentMemory } from './resident-memory.js';
import { Revival } from './revival.js';

/** What a host can be asked that has been told nothing yet. */
const FIRST_CALLS: ReadonlySet<keyof HostCalls> = new Set(['load', 'describe']);

export class ProcessPool implements Pool {
  readonly options: PoolOptions;
  readonly #joint: Joint;
  #host: Host | undefined;
  #post: Post | undefined;
  #rowsAtOnce: number | null = null;
  /** The calls that brought the host to where it is, in order: what its successor must be told again. */
  readonly #history = new Map<keyof HostCalls, () => Promise<unknown>>();
  readonly #revival = new Revival(
    () => this.#bringBack(),
    async (reason) => this.#end(reason),
  );
  readonly #failures = new Failures();
  /** Calls off the watch over the slots. */
  #callOff: (() => void) | undefined;
  /** A micro-batch that lay ready while nothing was computed, and since when, on the clock of `performance.now()`. */
  #ignored: { readonly microBatch: number; readonly since: number } | undefined;
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, joint: Joint) {
    this.options = options;
    this.#joint = joint;
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
    this.#post = new Post(arena, stage, turn);
    this.#serve();
  }

  async detach(): Promise<void> {
    const post = this.#post;
    this.#post = undefined;
    this.#history.delete('attach');
    post?.halt();
    if (post && this.#host) await this.#call('detach', {});
  }

  failureOf(slot: number): TandemError {
    return this.#failures.take(slot) ?? this.#ended ?? died('ended without a word');
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
    this.#end(hasBeenClosed());
    await gone;
  }

  async #bringBack(): Promise<void> {
    const host = this.#host;
    host?.kill(died('was ended to be started anew'));
    // Until then it may write into slots.
    await host?.gone;
    for (const step of this.#history.values()) await step();
    if (this.#post) this.#serve();
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
    this.#post?.halt();
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
    const owed = () => Math.max(this.#ignoredFor(), this.#post?.runningFor ?? 0);
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
    const post = this.#post;
    const isBusy = !post || post.running.length > 0 || this.#revival.underWay;
    const ready = isBusy ? undefined : post.arena.slots.find((slot) => slot.isReady(post.stage, post.turn));
    const now = performance.now();
    if (!ready) this.#ignored = undefined;
    else if (this.#ignored?.microBatch !== ready.microBatch)
      this.#ignored = { microBatch: ready.microBatch, since: now };
    return this.#ignored ? now - this.#ignored.since : 0;
  }

  #start(): Host {
    return new Host(this.options, this.#joint, {
      failed: (host, index, reason) => {
        const post = this.#post;
        const slot = this.#host === host ? post?.arena.slots[index] : undefined;
        if (slot && post!.has(slot)) this.#failures.add(post!, [slot], reason);
      },
      gone: (host, reason) => this.#lose(host, reason),
    });
  }

  #lose(host: Host, reason: TandemError): void {
    if (this.#host !== host) return;
    this.#host = undefined;
    const post = this.#post;
    if (!post) return;
    const held = post.running;
    this.#failures.add(post, held, this.#ended ?? reason);
    // It may have ended a micro-batch, and died before it could say so.
    post.arena.look();
    // With nothing in its hands nobody else would miss it.
    if (held.length === 0 && !this.#ended) void this.revive().catch(() => {});
  }
}
