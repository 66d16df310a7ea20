/** One machine's part in one job: it takes shards from the job's queue, one at a time, until it is told to stop. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Worker } from 'bullmq';
import { asTandemError, EXIT, type TandemError } from '../errors.js';
import { parseWork, queueName, type ShardJob, type ShardWork, shardWorkerOptions, type Tuning } from './job-queue.js';
import { isCommitted, storedState } from './job-state.js';
import type { Manifest } from './manifest.js';
import type { QueueAddress } from './queue-address.js';
import { queueLibrary } from './queue-library.js';
import type { JobEntry } from './registry.js';
import { runOrSearch } from './run-or-search.js';
import { type ShardProcess, ShardStopped } from './shard-process.js';
import type { Store } from './store.js';

export interface JobParts {
  readonly address: QueueAddress;
  readonly entry: JobEntry;
  readonly manifest: Manifest;
  readonly store: Store;
  readonly process: ShardProcess;
  readonly tuning: Tuning;
  readonly listener: JobListener;
}

export interface JobListener {
  /** This machine cannot run the job, though it had seemed so. */
  onUnfit(id: string, why: string): void;
  /** Two machines have computed other bytes for the same shard: no output can be trusted. */
  onUnequal(entry: JobEntry, why: string): Promise<void>;
  onShardDone(rows: number): void;
  onShardFailed(shard: number, why: string): void;
  onNotice(text: string): void;
}

export interface RunningShard {
  readonly shard: number;
  readonly since: number;
  rows: number;
}

/** Milliseconds that a stop waits for the queue; a shard that could not be given back is taken over after its lock's time. */
const GIVE_BACK_TIMEOUT = 5_000;
/** Codes after which another try ends the same way, wherever it is. */
const LASTING: ReadonlySet<number> = new Set([EXIT.usage]);

export class JobRun {
  readonly entry: JobEntry;
  readonly store: Store;
  readonly manifest: Manifest;
  /** `null` between two shards. */
  running: RunningShard | null = null;
  readonly #parts: JobParts;
  #worker: Worker | null = null;
  #bullmq: typeof import('bullmq') | null = null;
  readonly #stop = new AbortController();
  #discard = new AbortController();

  constructor(parts: JobParts) {
    this.#parts = parts;
    this.entry = parts.entry;
    this.store = parts.store;
    this.manifest = parts.manifest;
  }

  async start(): Promise<void> {
    this.#bullmq = (await queueLibrary()).bullmq;
    const { address, entry, tuning, listener } = this.#parts;
    const options = shardWorkerOptions(address, `${hostname()}:${process.pid}`, tuning);
    const worker = new this.#bullmq.Worker(
      queueName(entry.id),
      (job, token) => this.#process(job as unknown as ShardJob, token!),
      options,
    );
    // Of lost connections and lost locks; the shard goes on, and its commit decides.
    worker.on('error', ({ message }) => listener.onNotice(`the queue at ${address.shown}: ${message}`));
    this.#worker = worker;
  }

  /** Takes nothing more, and gives back what it runs; what was done of that is kept for the next attempt. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    if (!worker) return;
    await worker.pause(true).catch(() => {});
    this.#stop.abort();
    await this.#idle();
    await withinTime(worker.close(), GIVE_BACK_TIMEOUT);
  }

  /** Another machine has committed the shard that runs here: what runs is of no more use. */
  async discardCommitted(): Promise<void> {
    const { running } = this;
    if (running && (await isCommitted(this.store, running.shard)) && this.running === running) this.#discard.abort();
  }

  async #process(job: ShardJob, token: string): Promise<{ attempt: string }> {
    const { listener } = this.#parts;
    const work = this.#workOf(job);
    const attempt = attemptName();
    try {
      await this.#run(job, work, attempt);
      return { attempt };
    } catch (error) {
      // Not this shard's fault: it goes back, and does not count as an attempt.
      if (error instanceof ShardStopped) return this.#giveBack(job, token);
      const known = asTandemError(error);
      if (known.exitCode === EXIT.impossible) {
        // Else it would be taken again at once.
        await this.#worker?.pause(true);
        listener.onUnfit(this.entry.id, reasonOf(known));
        return this.#giveBack(job, token);
      }
      listener.onShardFailed(work.shard, reasonOf(known));
      if (known.code === 'TANDEM_SHARDS_UNEQUAL') await listener.onUnequal(this.entry, reasonOf(known));
      if (LASTING.has(known.exitCode) || known.code === 'TANDEM_SHARDS_FATAL')
        throw new this.#bullmq!.UnrecoverableError(reasonOf(known));
      throw new Error(reasonOf(known), { cause: error });
    } finally {
      this.running = null;
    }
  }

  async #run(job: ShardJob, { shard }: ShardWork, attempt: string): Promise<void> {
    const { entry, manifest, store, process: child, listener } = this.#parts;
    if (this.#stop.signal.aborted) throw new ShardStopped();
    if (await isCommitted(store, shard)) return;
    if ((await storedState(store)) === 'cancelled') return;
    const running: RunningShard = { shard, since: Date.now(), rows: 0 };
    this.running = running;
    this.#discard = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#discard.signal]);
    const onProgress = (rows: number) => {
      running.rows = rows;
    };
    try {
      const parts = { manifest, store, where: entry.store, child, shard, attempt, signal };
      const { rows } = await runOrSearch(job, { ...parts, onProgress, onNotice: (text) => listener.onNotice(text) });
      listener.onShardDone(rows);
    } catch (error) {
      if (!(error instanceof ShardStopped && this.#discard.signal.aborted)) throw error;
    }
  }

  #workOf({ data }: ShardJob): ShardWork {
    try {
      return parseWork(data, this.manifest.shards.length);
    } catch (error) {
      throw new this.#bullmq!.UnrecoverableError(reasonOf(asTandemError(error)));
    }
  }

  async #giveBack(job: ShardJob, token: string): Promise<never> {
    await withinTime(job.moveToWait(token), GIVE_BACK_TIMEOUT);
    throw new this.#bullmq!.WaitingError();
  }

  async #idle(): Promise<void> {
    while (this.running) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Of one attempt of one shard; no two are equal. */
export function attemptName(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 40);
  return `${host}-${process.pid}-${randomBytes(6).toString('hex')}`;
}

export function reasonOf({ code, message }: TandemError): string {
  return `${message} [${code}]`;
}

/** Settles when the step does, or after the time: Redis may be away. */
export async function withinTime(step: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([step.catch(() => {}), late]);
  clearTimeout(timer);
}
