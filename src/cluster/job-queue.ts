/** The queue of one job in BullMQ: a job of it is a shard, by its number. */
import type { Job, JobsOptions, Queue, WorkerOptions } from 'bullmq';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { producerOptions, workerOptions } from './connection.js';
import type { QueueAddress } from './queue-address.js';
import { queueError } from './queue-error.js';
import { queueLibrary } from './queue-library.js';
import { PREFIX } from './registry.js';

const WORK = z.strictObject({
  shard: z.int().min(0),
  /** A second run of a shard that is slow elsewhere. */
  second: z.boolean().optional(),
});

export type ShardWork = z.infer<typeof WORK>;
export type ShardJob = Job<ShardWork, { readonly attempt: string }>;

/** Milliseconds. A machine that may vanish at any time wants a short lock; a double run is safe, only wasted. */
export const LOCK_MS = 300_000;
const STALLED_CHECK_MS = 30_000;

const ATTEMPTS: JobsOptions = { attempts: 3, backoff: { type: 'exponential', delay: 1_000 } };

export interface Tuning {
  /** Milliseconds that a shard stays with a worker that is silent. */
  readonly lockMs?: number;
  readonly stalledCheckMs?: number;
}

/** Of BullMQ: no `:` in it. */
export function queueName(id: string): string {
  return `job-${id.slice(0, 32)}`;
}

export function workId({ shard, second }: ShardWork): string {
  return second ? `s${shard}-second` : `s${shard}`;
}

/** Throws TANDEM_QUEUE_INVALID. */
export function parseWork(data: unknown, shards: number): ShardWork {
  const { data: work } = WORK.safeParse(data);
  if (work && work.shard < shards) return work;
  throw new TandemError('TANDEM_QUEUE_INVALID', 'the queue holds what is no shard of this job', {
    remedy:
      'something else writes to this Redis, or another version of tandem: give each its own database (redis://host/1)',
  });
}

/** What each machine of a job runs its BullMQ worker with. */
export function shardWorkerOptions(
  address: QueueAddress,
  name: string,
  { lockMs, stalledCheckMs }: Tuning,
): WorkerOptions {
  return {
    connection: workerOptions(address),
    prefix: PREFIX,
    name,
    concurrency: 1,
    lockDuration: lockMs ?? LOCK_MS,
    stalledInterval: stalledCheckMs ?? STALLED_CHECK_MS,
    // A machine's death does not count as an attempt; a shard that kills machines is searched for its fatal rows.
    maxStalledCount: 1_000,
    drainDelay: 5,
    // After an answer that a lost connection kept from coming.
    runRetryDelay: 2_000,
  };
}

/** The queue from outside: adds, counts, removes. Methods throw TANDEM_QUEUE_*. */
export class JobQueue {
  readonly #queue: Queue;
  readonly #address: QueueAddress;

  private constructor(queue: Queue, address: QueueAddress) {
    this.#queue = queue;
    this.#address = address;
  }

  static async open(address: QueueAddress, id: string): Promise<JobQueue> {
    const { bullmq } = await queueLibrary();
    const queue = new bullmq.Queue(queueName(id), { connection: producerOptions(address), prefix: PREFIX });
    // What it reports there is reported by the command that fails, too.
    queue.on('error', () => {});
    const jobs = new JobQueue(queue, address);
    await jobs.#ask(() => queue.waitUntilReady());
    return jobs;
  }

  /** One that is there already stays as it is. */
  async add(works: readonly ShardWork[]): Promise<void> {
    for (let begin = 0; begin < works.length; begin += 500) {
      const some = works.slice(begin, begin + 500);
      const jobs = some.map((work) => ({ name: 'shard', data: work, opts: { ...ATTEMPTS, jobId: workId(work) } }));
      await this.#ask(() => this.#queue.addBulk(jobs));
    }
  }

  counts(): Promise<Readonly<Record<string, number>>> {
    return this.#ask(() => this.#queue.getJobCounts('waiting', 'active', 'delayed', 'completed', 'failed'));
  }

  /** The shards that are in these states, by the ids of their jobs. */
  async idsIn(...states: ('waiting' | 'active' | 'delayed' | 'completed' | 'failed')[]): Promise<Set<string>> {
    return new Set(await this.#ask(() => this.#queue.getRanges(states, 0, -1)));
  }

  async failures(): Promise<{ readonly work: ShardWork; readonly why: string; readonly job: ShardJob }[]> {
    const failed = await this.#ask(() => this.#queue.getJobs(['failed'], 0, 999));
    return failed.filter(Boolean).map((job) => ({ work: job.data, why: job.failedReason ?? '', job }));
  }

  async remove(jobId: string): Promise<void> {
    await this.#ask(() => this.#queue.remove(jobId));
  }

  /** Nothing of it is left in Redis; a worker that runs one of its shards finds its lock gone. */
  async destroy(): Promise<void> {
    await this.#ask(() => this.#queue.obliterate({ force: true, count: 10_000 }));
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => {});
    await this.#queue.disconnect().catch(() => {});
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw queueError(error, this.#address);
    }
  }
}
