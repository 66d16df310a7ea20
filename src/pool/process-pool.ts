/** A pool whose workers live in a child process of their own: another library beside ours, a crash that stays theirs, memory that can be told apart. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import { ENGINES, parseDevice } from '../engine/registry.js';
import { fromWire, TandemError } from '../errors.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import { setDeadline, timedOut } from './deadline.js';
import { Frames } from './frames.js';
import { died, epitaph, type Host, type Waiting } from './host.js';
import { type Pool, type PoolOptions, PREPARE_DEADLINE } from './pool.js';
import type { Answer, Ask, Failed, HostAnswer, HostAsk, HostCalls, Loaded, Probed } from './protocol.js';
import type { ResidentMemory } from './resident-memory.js';
import { Revival } from './revival.js';

/** The one place that knows where the other side of this wall is. */
const HOST_FILE = fileURLToPath(new URL('../../workers/stage-host.js', import.meta.url));

/** What a host can be asked that has been told nothing yet. */
const FIRST_CALLS: ReadonlySet<keyof HostCalls> = new Set(['load', 'describe']);

export class ProcessPool implements Pool {
  readonly options: PoolOptions;
  readonly #arenaFile: number;
  #host: Host | undefined;
  #nextId = 0;
  #arena: Arena | undefined;
  #stage = 0;
  #turn = 0;
  #rowsAtOnce: number | null = null;
  /** The calls that brought the host to where it is: what its successor must be told again. */
  readonly #history: (() => Promise<unknown>)[] = [];
  readonly #revival = new Revival(
    () => this.#bringBack(),
    async (reason) => this.#end(reason),
  );
  /** Why slots are FAILED in this stage, by their number. */
  readonly #failures = new Map<number, TandemError>();
  #ended: TandemError | undefined;

  constructor(options: PoolOptions, arenaFile: number) {
    this.options = options;
    this.#arenaFile = arenaFile;
    this.#host = this.#start();
  }

  load(slice: Slice): Promise<Loaded> {
    this.#history.length = 0;
    this.#rowsAtOnce = null;
    return this.#remember(() => this.#call('load', { slice, rowsAtOnce: this.#rowsAtOnce }));
  }

  divide(rowsAtOnce: number): Promise<void> {
    this.#rowsAtOnce = rowsAtOnce;
    return this.revive();
  }

  probe(inputs: readonly Tensor[]): Promise<Probed> {
    return this.#remember(() => this.#call('probe', { inputs }));
  }

  async time(ask: Ask<'time'>): Promise<number[]> {
    return [...(await this.#call('time', ask)).micros];
  }

  foresee(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null> {
    return this.#call('foresee', { slice, inputs });
  }

  async attach(stage: number, arena: Arena, turn = 0): Promise<void> {
    this.#arena?.halt(this.#stage, this.#turn);
    await this.#remember(() => this.#call('attach', { stage, turn, layout: arena.layout }));
    this.#stage = stage;
    this.#turn = turn;
    this.#arena = arena;
    // No thread of another process can be woken through this one's memory, so its slots are led there and back.
    arena.takeAll(stage, turn, (slot) => this.#lead(slot));
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
    const child = this.#host?.child;
    const gone = new Promise<void>((resolve) => {
      if (!child || child.exitCode !== null || child.signalCode !== null) resolve();
      child?.ref();
      child?.once('exit', () => resolve());
    });
    this.#end(new TandemError('TANDEM_CLOSED', 'the pipeline has been closed'));
    await gone;
  }

  /** The coordinator's own slot follows what the host does to its copy. */
  #lead(slot: Slot): void {
    // A new host knows nothing of slots until it has been brought to where the old one was.
    if (this.#revival.underWay) {
      void this.#revival.idle().then(() => this.#lead(slot));
      return;
    }
    const host = this.#host;
    if (!host) {
      this.#fail(slot.index, this.#ended ?? died('had ended before'));
      return;
    }
    host.slots.set(slot.index, performance.now());
    this.#hold(host);
    host.callOff ??= this.#watch(host, 'run', this.options.deadline);
    host.frames.sendSlot(slot.index, slot.words());
  }

  #takeBack(host: Host, index: number, words: Int32Array): void {
    host.heardAt = performance.now();
    if (!host.slots.delete(index)) return;
    const slot = this.#arena!.slots[index]!;
    slot.setWords(words);
    this.#arena!.advance(slot, this.#stage);
    this.#hold(host);
  }

  #fail(index: number, reason: TandemError): void {
    this.#failures.set(index, reason);
    this.#arena!.slots[index]!.fail(this.#stage);
  }

  async #bringBack(): Promise<void> {
    this.#dropHost();
    for (const step of this.#history) await step();
  }

  /** From here on every call, waiting ones too, rejects with `reason`; the first reason stays. */
  #end(reason: TandemError): void {
    this.#ended ??= reason;
    this.#dropHost();
    this.#arena?.halt(this.#stage, this.#turn);
  }

  /** A host has nothing to save: what it computes lies in the arena or is computed again. */
  #dropHost(): void {
    this.#host?.child.kill('SIGKILL');
    this.#host = undefined;
  }

  async #remember<T>(step: () => Promise<T>): Promise<T> {
    const answer = await step();
    this.#history.push(step);
    return answer;
  }

  async #call<K extends keyof HostCalls>(name: K, ask: HostCalls[K]['ask']): Promise<HostCalls[K]['answer']> {
    if (this.#ended) throw this.#ended;
    // A host that starts in the place of one that died knows nothing of what that was told.
    if (!this.#host && !FIRST_CALLS.has(name)) throw died('had ended before');
    this.#host ??= this.#start();
    const host = this.#host;
    const { frames, waiting } = host;
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    this.#hold(host);
    const frame: HostAsk<K> = { id, name, ask };
    frames.send(frame);
    const callOff = this.#watch(host, name, this.options.prepareDeadline ?? PREPARE_DEADLINE);
    try {
      return (await answer) as HostCalls[K]['answer'];
    } finally {
      callOff();
      waiting.delete(id);
      this.#hold(host);
    }
  }

  #hold(host: Host): void {
    const held = host.waiting.size > 0 || host.slots.size > 0;
    // A host that is being ended is waited for.
    if (held === host.held || (!held && this.#host !== host)) return;
    host.held = held;
    for (const handle of [host.child, host.socket]) held ? handle.ref() : handle.unref();
  }

  /**
   * The host keeps the deadlines of its workers, so it answers one call or another within the longest of them. One that is
   * silent for twice as long is stuck as a whole (stopped, or starved of memory) and answers nothing any more.
   */
  #watch(host: Host, name: keyof HostCalls | 'run', limit: number): () => void {
    const asked = performance.now();
    const since = () => (name === 'run' ? (host.slots.values().next().value ?? performance.now()) : asked);
    const left = () => Math.max(since(), host.heardAt) + 2 * limit + 1000 - performance.now();
    return setDeadline(left, () => {
      host.child.kill('SIGKILL');
      this.#bury(host, timedOut(name, limit));
    });
  }

  #start(): Host {
    const { engine, engineOptions, device } = this.options;
    const child = spawn(process.execPath, [HOST_FILE, JSON.stringify(this.options)], {
      env: { ...process.env, ...ENGINES[engine].environment(engineOptions.threads, parseDevice(device)) },
      // Nothing that an engine prints may end up among the rows on stdout. The last two are HOST_PIPE and HOST_ARENA.
      stdio: ['ignore', 2, 2, 'pipe', this.#arenaFile],
    });
    const socket = child.stdio[3] as Socket;
    const waiting = new Map<number, Waiting>();
    const frames = new Frames(socket, {
      frame: (frame) => this.#hear(host, frame as HostAnswer | Failed),
      slot: (slot, words) => this.#takeBack(host, slot, words),
    });
    const slots = new Map<number, number>();
    const host: Host = { child, socket, frames, waiting, slots, heardAt: 0, held: false, callOff: undefined };
    // A write to a host that is just dying fails too; its exit is what is reported.
    socket.on('error', () => {});
    child.on('error', (error) => this.#bury(host, died(`could not be started: ${error.message}`)));
    child.on('exit', (code, signal) => this.#bury(host, died(epitaph(code, signal))));
    for (const handle of [child, socket]) handle.unref();
    return host;
  }

  #hear(host: Host, frame: HostAnswer | Failed): void {
    host.heardAt = performance.now();
    if ('slot' in frame) {
      if (host.slots.delete(frame.slot)) this.#fail(frame.slot, fromWire(frame.error));
      this.#hold(host);
      return;
    }
    const waiter = host.waiting.get(frame.id);
    if ('error' in frame.reply) waiter?.reject(fromWire(frame.reply.error));
    else waiter?.resolve(frame.reply.ok);
  }

  #bury(host: Host, reason: TandemError): void {
    if (this.#host === host) this.#host = undefined;
    host.callOff?.();
    for (const { reject } of host.waiting.values()) reject(this.#ended ?? reason);
    const lost = [...host.slots.keys()];
    host.slots.clear();
    for (const slot of lost) this.#fail(slot, this.#ended ?? reason);
  }
}
