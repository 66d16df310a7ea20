/** A stage's process: asked through a pipe, ended when it is stuck, and gone one day in any case. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Joint } from '../arena/joint.js';
import { ENGINES, parseDevice } from '../engine/registry.js';
import { fromWire, TandemError } from '../errors.js';
import { setDeadline, timedOut } from './deadline.js';
import { Frames } from './frames.js';
import { type PoolOptions, PREPARE_DEADLINE } from './pool.js';
import { type Failed, HOST_PIPE, type HostAnswer, type HostAsk, type HostCalls } from './protocol.js';

/** The one place that knows where the other side of this wall is. */
const HOST_FILE = fileURLToPath(new URL('../../workers/stage-host.js', import.meta.url));

/** Milliseconds that a process which has been killed is waited for; one that the system holds on to may never end. */
const END_GRACE = 10_000;

/** Who is told what comes from a host unasked. */
export interface HostListener {
  /** A slot could not be computed. */
  failed(host: Host, slot: number, reason: TandemError): void;
  /** It computes no more, and all calls have been rejected with this reason. */
  gone(host: Host, reason: TandemError): void;
}

type Waiting = { resolve: (answer: unknown) => void; reject: (error: unknown) => void };

export class Host {
  readonly #options: PoolOptions;
  readonly #listener: HostListener;
  readonly #child: ChildProcess;
  readonly #pipe: Socket;
  readonly #frames: Frames;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  /** When it was last heard of, on the clock of `performance.now()`. */
  #heardAt = 0;
  /** Whether it keeps this process alive, as it does while it owes an answer, or its end. */
  #held = false;
  /** Why it has been killed, where that was not by others. */
  #verdict: TandemError | undefined;
  /** Resolves once it computes no more. */
  readonly gone: Promise<void>;
  #setGone = () => {};

  constructor(options: PoolOptions, joint: Joint, listener: HostListener) {
    const { engine, engineOptions, device } = options;
    this.#options = options;
    this.#listener = listener;
    this.gone = new Promise((resolve) => {
      this.#setGone = resolve;
    });
    const child = spawn(process.execPath, [HOST_FILE, JSON.stringify(options)], {
      env: { ...process.env, ...ENGINES[engine].environment(engineOptions.threads, parseDevice(device)) },
      // Nothing that an engine prints may end up among the rows on stdout. The last are HOST_PIPE, HOST_ARENA and HOST_DOORBELL.
      stdio: ['ignore', 2, 2, 'pipe', joint.file, joint.outside ?? 'ignore'],
    });
    const pipe = (child.stdio as unknown[])[HOST_PIPE] as Socket;
    this.#child = child;
    this.#pipe = pipe;
    this.#frames = new Frames(pipe, (frame) => this.#hear(frame as HostAnswer | Failed));
    // A write to a host that is just dying fails too; its exit is what is reported.
    pipe.on('error', () => {});
    child.on('error', (error) => this.#bury(died(`could not be started: ${error.message}`)));
    child.on('exit', (code, signal) => this.#bury(died(epitaph(code, signal))));
    for (const handle of [child, pipe]) handle.unref();
  }

  async call<K extends keyof HostCalls>(name: K, ask: HostCalls[K]['ask']): Promise<HostCalls[K]['answer']> {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#hold();
    const frame: HostAsk<K> = { id, name, ask };
    this.#frames.send(frame);
    const callOff = this.#watch(name);
    try {
      return (await answer) as HostCalls[K]['answer'];
    } finally {
      callOff();
      this.#waiting.delete(id);
      this.#hold();
    }
  }

  /** It has nothing to save: what it computes lies in the arena or is computed again. */
  kill(verdict: TandemError): void {
    this.#verdict ??= verdict;
    this.#child.ref();
    this.#child.kill('SIGKILL');
    setTimeout(() => this.#bury(verdict), END_GRACE).unref();
  }

  #hold(): void {
    const held = this.#waiting.size > 0;
    // A host that is being ended is waited for.
    if (held === this.#held || (!held && this.#verdict)) return;
    this.#held = held;
    for (const handle of [this.#child, this.#pipe]) held ? handle.ref() : handle.unref();
  }

  /**
   * The host keeps the deadlines of its workers, so it answers one call or another within the longest of them. One that is
   * silent for longer than its patience is stuck as a whole (stopped, or starved of memory) and answers nothing any more.
   */
  #watch(name: keyof HostCalls): () => void {
    const limit = this.#options.prepareDeadline ?? PREPARE_DEADLINE;
    const asked = performance.now();
    const left = () => Math.max(asked, this.#heardAt) + patience(limit) - performance.now();
    return setDeadline(left, () => this.kill(timedOut(name, limit)));
  }

  #hear(frame: HostAnswer | Failed): void {
    this.#heardAt = performance.now();
    if ('slot' in frame) {
      this.#listener.failed(this, frame.slot, fromWire(frame.error));
      return;
    }
    const waiter = this.#waiting.get(frame.id);
    if ('error' in frame.reply) waiter?.reject(fromWire(frame.reply.error));
    else waiter?.resolve(frame.reply.ok);
  }

  #bury(epitaph: TandemError): void {
    const reason = this.#verdict ?? epitaph;
    this.#setGone();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#listener.gone(this, reason);
  }
}

/** Milliseconds for what a host's workers may take `limit` for. */
export function patience(limit: number): number {
  return 2 * limit + 1000;
}

export function died(how: string): TandemError {
  return new TandemError('TANDEM_STAGE_DIED', `a stage's process ${how}`);
}

function epitaph(code: number | null, signal: string | null): string {
  if (signal === 'SIGKILL') return 'was killed (SIGKILL): by somebody, or by the system because memory ran out';
  return signal ? `died of ${signal}` : `exited with status ${code}`;
}
