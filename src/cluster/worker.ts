/** A machine of the queue: it looks for jobs that it can run, runs their shards in a process of its own, and reports what it does. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { asTandemError } from '../errors.js';
import { grouped } from '../grouped-digits.js';
import { VERSION } from '../package.js';
import type { MetricsServer } from '../report/metrics-server.js';
import { openWorkerConnection } from './connection.js';
import { endJob, JobKeeper } from './job-keeper.js';
import { JobQueue, type Tuning } from './job-queue.js';
import { JobRun, reasonOf, withinTime } from './job-run.js';
import { manifestIn, storedState } from './job-state.js';
import { openStore } from './open-store.js';
import { type QueueAddress, queueAddress } from './queue-address.js';
import { type JobEntry, Registry, type View, type WorkerReport } from './registry.js';
import { checkInside } from './roots.js';
import { ShardProcess } from './shard-process.js';
import { serveWorkerMetrics } from './worker-metrics.js';

export interface WorkerOptions extends Tuning {
  /** `redis://host:6379`, or `rediss://`; absent: TANDEM_QUEUE. User, password and certificates are read from TANDEM_QUEUE_*. */
  readonly queue?: string;
  /** Folders that jobs may read and write in; absent: the working directory. */
  readonly roots?: readonly string[];
  /** Return when the queue has no job left that this machine can run. */
  readonly once?: boolean;
  /** A port for Prometheus metrics; 0 is any free port. */
  readonly metricsPort?: number;
  /** Default 127.0.0.1. */
  readonly metricsHost?: string;
  /** When it fires, the shard is given back and the worker returns. */
  readonly signal?: AbortSignal;
  /** Called for each job taken, refused or ended, and of what is wrong with the queue. */
  readonly onNotice?: (text: string) => void;
}

/** Milliseconds: between two looks at the queue, and until a job that was refused is looked at again. */
const LOOK_EVERY = 2_000;
const IDLE_LOOK_EVERY = 5_000;
const REFUSED_FOR = 60_000;
const LEAVE_TIMEOUT = 3_000;

/**
 * Runs shards until `signal` fires. What it cannot run with the same bytes it leaves to other machines, and says why.
 *
 * Throws TANDEM_QUEUE_UNREACHABLE and TANDEM_QUEUE_DENIED within seconds at the start, TANDEM_PACKAGE_MISSING, TANDEM_USAGE. Later it waits while
 * Redis is away, and goes on with the shard that it has.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const address = queueAddress(options.queue);
  const client = await openWorkerConnection(address);
  const worker = new QueueWorker(client, address, options);
  try {
    await worker.run();
  } finally {
    await worker.leave();
    client.disconnect();
  }
}

class QueueWorker {
  readonly #id = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  readonly #address: QueueAddress;
  readonly #registry: Registry;
  readonly #options: WorkerOptions;
  readonly #roots: readonly string[];
  readonly #process = new ShardProcess();
  readonly #since = Date.now();
  /** By id of a job: why it is not taken, and when that was found. */
  readonly #refused = new Map<string, { readonly why: string; readonly at: number }>();
  /** Jobs that can run here. */
  readonly #fit = new Set<string>();
  readonly #keeper: JobKeeper;
  #current: JobRun | null = null;
  #metrics: MetricsServer | null = null;
  #draining = false;
  #done = { shards: 0, failed: 0, rows: 0 };

  constructor(client: Redis, address: QueueAddress, options: WorkerOptions) {
    this.#address = address;
    this.#options = options;
    this.#roots = options.roots ?? [process.cwd()];
    this.#registry = new Registry(client, address);
    this.#keeper = new JobKeeper(this.#registry, address, this.#id);
  }

  async run(): Promise<void> {
    const { signal, once, metricsPort, metricsHost } = this.#options;
    if (metricsPort !== undefined) {
      const place = { metricsPort, metricsHost };
      this.#metrics = await serveWorkerMetrics(place, () => this.#report(), this.#registry, this.#address);
      this.#say(`metrics: ${this.#metrics.url}`);
    }
    while (!signal?.aborted) {
      const view = await untilAborted(this.#look(), signal);
      if (!view) break;
      if (once && !this.#current && !view.jobs.some(({ id }) => !this.#isRefused(id))) break;
      await pause(view.jobs.length > 0 ? LOOK_EVERY : IDLE_LOOK_EVERY, signal);
    }
  }

  async leave(): Promise<void> {
    this.#draining = true;
    if (this.#current?.running) this.#say('draining: the shard that runs here is given back');
    await this.#current?.stop();
    await this.#process.close();
    await this.#keeper.settled();
    await this.#metrics?.close();
    await withinTime(this.#registry.removeWorker(this.#id), LEAVE_TIMEOUT);
  }

  /** One look at the queue and what follows from it. Never throws: what is wrong now may be right at the next look. */
  async #look(): Promise<View | null> {
    try {
      const view = await this.#registry.view();
      await this.#registry.report(this.#id, this.#report());
      await this.#keeper.restoreLost(view);
      await this.#follow(view);
      return view;
    } catch (error) {
      this.#say(reasonOf(asTandemError(error)));
      return { jobs: [], ended: new Map(), workers: new Map(), refused: [] };
    }
  }

  async #follow(view: View): Promise<void> {
    const current = this.#current;
    if (current) {
      const { entry } = current;
      const end = view.ended.get(entry.id);
      const refused = this.#isRefused(entry.id);
      if (!end && !refused) return this.#tend(current, view);
      this.#current = null;
      await current.stop();
      if (end) this.#say(`${entry.output}: ${end.state}`);
    }
    await this.#choose(view);
  }

  /** A job that runs: it is reconciled, merged when it is done, and left for another where it has nothing left to take. */
  async #tend(current: JobRun, view: View): Promise<void> {
    // Its entry is back after Redis has lost its last second; the next look sees its end.
    if ((await storedState(current.store)) === 'cancelled') {
      return this.#registry.endJob(current.entry, 'cancelled');
    }
    await current.discardCommitted();
    await this.#keeper.tend(current, view);
    if (current.running || view.jobs.length < 2) return;
    for (const entry of view.jobs) {
      if (entry.id === current.entry.id || !(await this.#hasWork(entry)) || !(await this.#fits(entry))) continue;
      this.#current = null;
      await current.stop();
      return this.#take(entry);
    }
  }

  async #choose({ jobs }: View): Promise<void> {
    const fitting: JobEntry[] = [];
    for (const entry of jobs) {
      if (!(await this.#fits(entry))) continue;
      if (await this.#hasWork(entry)) return this.#take(entry);
      fitting.push(entry);
    }
    // One whose last shards run elsewhere still wants to be reconciled and merged.
    if (fitting[0]) await this.#take(fitting[0]);
  }

  async #hasWork({ id }: JobEntry): Promise<boolean> {
    const queue = await JobQueue.open(this.#address, id);
    try {
      const { waiting = 0, delayed = 0 } = await queue.counts();
      return waiting + delayed > 0;
    } finally {
      await queue.close();
    }
  }

  async #take(entry: JobEntry): Promise<void> {
    const store = await openStore(entry.store);
    const manifest = await manifestIn(store);
    const parts = { address: this.#address, entry, manifest, store, process: this.#process, tuning: this.#options };
    if (this.#draining) return;
    const current = new JobRun({ ...parts, listener: this.#listener() });
    this.#current = current;
    this.#say(`${entry.output}: taking shards, ${grouped(entry.shards)} in all`);
    await current.start();
  }

  #listener() {
    return {
      onUnfit: (id: string, why: string) => this.#refuse(id, why),
      onUnequal: (entry: JobEntry, why: string) =>
        endJob({ registry: this.#registry, address: this.#address, entry }, 'failed', why),
      onShardDone: (rows: number) => {
        this.#done = { ...this.#done, shards: this.#done.shards + 1, rows: this.#done.rows + rows };
      },
      onShardFailed: (shard: number, why: string) => {
        this.#done.failed += 1;
        this.#say(`shard ${shard}: ${why}`);
      },
      onNotice: (text: string) => this.#say(text),
    };
  }

  /** Found once for each job, in the process that would run it. */
  async #fits(entry: JobEntry): Promise<boolean> {
    if (this.#isRefused(entry.id)) return false;
    if (this.#fit.has(entry.id)) return true;
    // Of its own: the other one may be at a shard.
    const child = new ShardProcess();
    try {
      await checkInside(entry.store, 'the store', this.#roots);
      await child.perform({ kind: 'check', store: entry.store, roots: this.#roots });
      this.#refused.delete(entry.id);
      this.#fit.add(entry.id);
      return true;
    } catch (error) {
      if (!this.#draining) this.#refuse(entry.id, reasonOf(asTandemError(error)));
      return false;
    } finally {
      await child.close();
    }
  }

  #isRefused(id: string): boolean {
    const found = this.#refused.get(id);
    return found !== undefined && Date.now() - found.at < REFUSED_FOR;
  }

  #refuse(id: string, why: string): void {
    if (this.#refused.get(id)?.why !== why) this.#say(`job ${id.slice(0, 8)} is not taken: ${why}`);
    this.#refused.set(id, { why, at: Date.now() });
    this.#fit.delete(id);
  }

  #report(): WorkerReport {
    const { running, entry } = this.#current ?? {};
    const seconds = running ? (Date.now() - running.since) / 1000 : 0;
    const shard = running && {
      job: entry!.id,
      shard: running.shard,
      shardSince: running.since,
      shardRows: running.rows,
      rowsPerSecond: seconds > 0 ? running.rows / seconds : 0,
    };
    return {
      host: hostname(),
      pid: process.pid,
      version: VERSION,
      since: this.#since,
      at: Date.now(),
      state: this.#draining ? 'draining' : running ? 'running' : 'idle',
      ...shard,
      shardsDone: this.#done.shards,
      shardsFailed: this.#done.failed,
      rowsDone: this.#done.rows,
      refuses: Object.fromEntries([...this.#refused].map(([id, { why }]) => [id, why.slice(0, 1_000)])),
    };
  }

  #say(text: string): void {
    this.#options.onNotice?.(text);
  }
}

/** What the step resolves to, or `null` as soon as the signal fires. */
async function untilAborted<T>(step: Promise<T>, signal: AbortSignal | undefined): Promise<T | null> {
  if (!signal) return step;
  if (signal.aborted) return null;
  let stop = () => {};
  const aborted = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([step, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await untilAborted(over, signal);
  clearTimeout(timer);
}
