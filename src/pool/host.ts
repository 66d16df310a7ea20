/** A stage's process, as its parent sees it: calls through a pipe, kill when it hangs, and its exit. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { ProcessLink } from '../arena/process-link.js';
import { entryOf } from '../engine/choose.js';
import { parseDevice } from '../engine/device.js';
import { asTandemError, fromWire, TandemError } from '../errors.js';
import { setDeadline, timedOut } from './deadline.js';
import { Frames } from './frames.js';
import { type PoolOptions, PREPARE_DEADLINE_MS } from './pool.js';
import { type Failed, HOST_PIPE, type HostAnswer, type HostAsk, type HostBooted, type HostCalls } from './protocol.js';

/** What the process runs, by what its stage is. */
const HOST_FILES = {
  stage: fileURLToPath(new URL('../../workers/stage-host.js', import.meta.url)),
  decoder: fileURLToPath(new URL('../../workers/decoder-host.js', import.meta.url)),
};

/** Milliseconds within which a process must boot. Node itself may hang if the system gives it no more threads. */
const BOOT_DEADLINE_MS = 60_000;

/** Milliseconds to wait for the exit of a killed process; one in an uninterruptible system call may never exit. */
const END_GRACE = 10_000;

/** Receives the events of a host. */
export interface HostListener {
  /** A slot could not be computed. */
  failed(host: Host, slot: number, reason: TandemError): void;
  /** It has exited or is given up, and all calls have been rejected with this reason. */
  exited(host: Host, reason: TandemError): void;
}

type Waiting = { name: keyof HostCalls; resolve: (answer: unknown) => void; reject: (error: unknown) => void };

/** Running children. A child that is stopped, or hangs while booting, does not notice the exit of this process, so it is killed. */
const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

export class Host {
  readonly #options: PoolOptions;
  readonly #listener: HostListener;
  /** Undefined if none could be started, like the next two. */
  readonly #child: ChildProcess | undefined;
  readonly #pipe: Socket | undefined;
  readonly #frames: Frames | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  /** When its last frame arrived, on the clock of `performance.now()`; 0 before the first. */
  #lastFrameAt = 0;
  /** Whether it keeps this process alive: while a call or a kill is pending. */
  #held = false;
  /** Why this process has killed it. */
  #killReason: TandemError | undefined;
  /** Resolves when it has exited. */
  readonly exited: Promise<void>;
  #setExited = () => {};

  constructor(options: PoolOptions, processLink: ProcessLink, listener: HostListener) {
    this.#options = options;
    this.#listener = listener;
    this.exited = new Promise((resolve) => {
      this.#setExited = resolve;
    });
    const child = spawnHost(options, processLink);
    if (child instanceof Error) {
      const reason = asTandemError(child, 'TANDEM_STAGE_DIED');
      process.nextTick(() => this.#onExit(reason));
      return;
    }
    // If the system has no file descriptors left there is no pipe, and an 'error' event follows.
    const pipe = (child.stdio as unknown[] | undefined)?.[HOST_PIPE] as Socket | undefined;
    this.#child = child;
    this.#pipe = pipe;
    if (pipe) {
      this.#frames = new Frames(pipe, (frame) => this.#receive(frame as HostAnswer | HostBooted | Failed));
      // A write to a dying host fails too; its exit is reported instead.
      pipe.on('error', () => {});
    }
    const { bootDeadlineMs = BOOT_DEADLINE_MS } = options;
    const look = () => this.#lastFrameAt === 0 && this.kill(neverBooted(bootDeadlineMs));
    // Frames that arrived while this thread was busy are read first.
    const boot = setTimeout(() => setImmediate(look), bootDeadlineMs).unref();
    child.on('exit', () => clearTimeout(boot));
    if (running.size === 0) process.on('exit', killAll);
    running.add(child);
    child.on('exit', () => {
      running.delete(child);
      if (running.size === 0) process.off('exit', killAll);
    });
    child.on('error', (error) => this.#onExit(asTandemError(error, 'TANDEM_STAGE_DIED')));
    child.on('exit', (code, signal) => this.#onExit(died(`${endOf(code, signal)}${this.#doing()}`)));
    for (const handle of [child, pipe]) handle?.unref();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async call<K extends keyof HostCalls>(name: K, ask: HostCalls[K]['ask']): Promise<HostCalls[K]['answer']> {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { name, resolve, reject }));
    this.#hold();
    const frame: HostAsk<K> = { id, name, ask };
    this.#frames?.send(frame);
    const cancel = this.#watch(name);
    try {
      return (await answer) as HostCalls[K]['answer'];
    } finally {
      cancel();
      this.#waiting.delete(id);
      this.#hold();
    }
  }

  /** Kills it with SIGKILL. Nothing is lost: its results are in the arena or are computed again. */
  kill(killReason: TandemError): void {
    this.#killReason ??= killReason;
    this.#child?.ref();
    this.#child?.kill('SIGKILL');
    setTimeout(() => this.#onExit(killReason), END_GRACE).unref();
  }

  #hold(): void {
    const held = this.#waiting.size > 0;
    // A killed host keeps this process alive until it exits.
    if (held === this.#held || (!held && this.#killReason)) return;
    this.#held = held;
    for (const handle of [this.#child, this.#pipe]) held ? handle?.ref() : handle?.unref();
  }

  /**
   * The host enforces the deadlines of its workers, so it answers some call within the longest of them. A host that is silent for longer than
   * `hostTimeout` hangs as a whole (stopped, or out of memory) and is killed.
   */
  #watch(name: keyof HostCalls): () => void {
    const limit = this.#options.prepareDeadlineMs ?? PREPARE_DEADLINE_MS;
    const asked = performance.now();
    const left = () => Math.max(asked, this.#lastFrameAt) + hostTimeout(limit) - performance.now();
    return setDeadline(left, () => this.kill(timedOut(name, limit)));
  }

  #receive(frame: HostAnswer | HostBooted | Failed): void {
    this.#lastFrameAt = performance.now();
    if (frame === 'booted') return;
    if ('slot' in frame) {
      this.#listener.failed(this, frame.slot, fromWire(frame.error));
      return;
    }
    const waiter = this.#waiting.get(frame.id);
    if ('error' in frame.reply) waiter?.reject(fromWire(frame.reply.error));
    else waiter?.resolve(frame.reply.ok);
  }

  /** Which call is pending, for the message. */
  #doing(): string {
    const [call] = [...this.#waiting.values()].filter(({ name }) => name in DOING);
    return call ? ` while ${DOING[call.name]}` : '';
  }

  #onExit(exitReason: TandemError): void {
    const reason = this.#killReason ?? exitReason;
    if (reason.code === 'TANDEM_STAGE_DIED') deaths.add(reason);
    this.#setExited();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#listener.exited(this, reason);
  }
}

function spawnHost(options: PoolOptions, processLink: ProcessLink): ChildProcess | Error {
  const { engine, engineOptions, device } = options;
  try {
    return spawn(process.execPath, [HOST_FILES[options.program ?? 'stage'], JSON.stringify(options)], {
      env: {
        ...process.env,
        ...entryOf(engine).environment(engineOptions.threads, parseDevice(device), engineOptions.memory),
      },
      // Output of an engine must not mix with rows on stdout, so it goes to stderr. The last three are HOST_PIPE, HOST_ARENA, HOST_NOTIFY_SOCKET.
      stdio: ['ignore', 2, 2, 'pipe', processLink.file, processLink.outside ?? 'ignore'],
    });
  } catch (error) {
    return error as Error;
  }
}

/** Milliseconds that a host may be silent while its workers have `limit` milliseconds for a call. */
export function hostTimeout(limit: number): number {
  return 2 * limit + 1000;
}

export function died(how: string): TandemError {
  return new TandemError('TANDEM_STAGE_DIED', `a stage's process ${how}`);
}

function neverBooted(limit: number): TandemError {
  return new TandemError('TANDEM_STAGE_TIMEOUT', `a stage's process did not boot in ${limit / 1000} s`, {
    remedy:
      'check whether the system gives it threads (ulimit -u, the pids limit of the container), or use fewer stages',
  });
}

/** Errors of hosts that died. A new host may succeed; an error that a host has answered would occur again. */
const deaths = new WeakSet<Error>();

export function isDeath(error: unknown): error is TandemError {
  return error instanceof Error && deaths.has(error);
}

const DOING: Partial<Record<keyof HostCalls, string>> = {
  load: 'loading',
  probe: 'warming up',
  time: 'it was measured',
  infer: 'inferring shapes',
  describe: 'describing the model',
  attach: 'joining the pipeline',
};

function endOf(code: number | null, signal: string | null): string {
  if (signal === 'SIGKILL') return 'was killed by SIGKILL (perhaps because memory ran out)';
  return signal ? `died of ${signal}` : `exited with status ${code}`;
}
