/** What any one of a job's machines does for all: it puts back what Redis has lost, merges when all shards are done, and has slow shards run twice. */
import { asTandemError, EXIT, TandemError } from '../errors.js';
import { JobQueue } from './job-queue.js';
import { type JobRun, reasonOf } from './job-run.js';
import { storedState } from './job-state.js';
import { openStore } from './open-store.js';
import type { QueueAddress } from './queue-address.js';
import { type Reconciled, reconcile } from './reconcile.js';
import type { JobEntry, Registry, View } from './registry.js';
import { ShardProcess } from './shard-process.js';
import { slowShards } from './slow-shards.js';

/** Milliseconds between two reconciliations of a job, by whichever machine comes first. */
const RECONCILE_EVERY = 30_000;
/** Milliseconds between two looks at whether all is done, which costs Redis one command. */
const LEAD_TIME = 5_000;

export class JobKeeper {
  readonly #registry: Registry;
  readonly #address: QueueAddress;
  readonly #worker: string;
  /** Jobs that this machine has seen in the queue. */
  readonly #known = new Map<string, JobEntry>();
  readonly #reconciled = new Map<string, number>();
  #merging: Promise<void> | null = null;

  constructor(registry: Registry, address: QueueAddress, worker: string) {
    this.#registry = registry;
    this.#address = address;
    this.#worker = worker;
  }

  /** Jobs that Redis has forgotten, with its last second or all of its data, are registered again, unless their store says that they have ended. */
  async restoreLost({ jobs, ended }: View): Promise<void> {
    for (const entry of jobs) this.#known.set(entry.id, entry);
    const here = new Set(jobs.map(({ id }) => id));
    for (const [id, entry] of this.#known) {
      if (here.has(id)) continue;
      const state = ended.has(id) ? 'over' : await storedState(await openStore(entry.store));
      if (state !== 'open') {
        this.#known.delete(id);
        continue;
      }
      await this.#registry.addJob(entry);
      this.#reconciled.delete(id);
    }
  }

  /** Never waits for the merge. Throws TANDEM_QUEUE_*, TANDEM_STORE_FAILED. */
  async tend(current: JobRun, view: View): Promise<void> {
    const { id } = current.entry;
    if (this.#merging || !(await this.#isDue(id))) return;
    const queue = await JobQueue.open(this.#address, id);
    try {
      const found = await reconcile(current.manifest, current.store, queue);
      if (found.committed.size === current.manifest.shards.length) {
        this.#merging = this.#merge(current.entry).finally(() => {
          this.#merging = null;
        });
        // Reported by the worker at its next look.
        this.#merging.catch(() => {});
        return;
      }
      await this.#fail(current.entry, found, queue);
      await queue.add(await slowShards(current, found.committed, view));
    } finally {
      await queue.close();
    }
  }

  /** For the end of a worker: a merge is not cut off. */
  async settled(): Promise<void> {
    await this.#merging?.catch(() => {});
  }

  /** All shards over, or the time has come; and no other machine is at it. */
  async #isDue(id: string): Promise<boolean> {
    const since = Date.now() - (this.#reconciled.get(id) ?? 0);
    if (since < LEAD_TIME) return false;
    const queue = await JobQueue.open(this.#address, id);
    try {
      const { waiting = 0, active = 0, delayed = 0 } = await queue.counts();
      const allOver = waiting + active + delayed === 0;
      if (!allOver && since < RECONCILE_EVERY) return false;
      if (!(await this.#registry.lead(id, this.#worker, LEAD_TIME))) return false;
      this.#reconciled.set(id, Date.now());
      return true;
    } finally {
      await queue.close();
    }
  }

  async #merge(entry: JobEntry): Promise<void> {
    const child = new ShardProcess();
    try {
      await child.perform({ kind: 'merge', store: entry.store, force: entry.force });
      await this.#end(entry, 'merged');
    } catch (error) {
      const known = asTandemError(error);
      // Another machine merges, or this one is not able to now.
      if (isBeingWritten(known) || known.exitCode === EXIT.resumable || known.code === 'TANDEM_STAGE_LOST') return;
      await this.#end(entry, 'failed', reasonOf(known));
    } finally {
      await child.close();
    }
  }

  /** Once nothing of it is left to try, a job with a shard that no machine could finish has failed. Its commits stay. */
  async #fail(entry: JobEntry, { failed, added }: Reconciled, queue: JobQueue): Promise<void> {
    if (failed.length === 0 || added > 0) return;
    const { waiting = 0, active = 0, delayed = 0 } = await queue.counts();
    if (waiting + active + delayed > 0) return;
    const { shard, why } = failed[0]!;
    const others = failed.length > 1 ? ` and ${failed.length - 1} more` : '';
    await this.#end(entry, 'failed', `shard ${shard}${others}: ${why}`);
  }

  async #end(entry: JobEntry, state: 'merged' | 'failed', why?: string): Promise<void> {
    await endJob({ registry: this.#registry, address: this.#address, entry }, state, why);
    this.#known.delete(entry.id);
  }
}

function isBeingWritten({ code, message }: TandemError): boolean {
  return /^TANDEM_OUTPUT_(?:EXISTS|TAKEN)$/.test(code) && /being written|taken over/.test(message);
}

export interface EndingJob {
  readonly registry: Registry;
  readonly address: QueueAddress;
  readonly entry: JobEntry;
}

/** Takes the job out of the registry, and its queue out of Redis. Throws TANDEM_QUEUE_*. */
export async function endJob(
  { registry, address, entry }: EndingJob,
  state: 'merged' | 'cancelled' | 'failed',
  why?: string,
): Promise<void> {
  await registry.endJob(entry, state, why);
  const queue = await JobQueue.open(address, entry.id);
  try {
    await queue.destroy();
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    // A worker that is finishing its shard writes to it; it is removed with the next job of this id.
  } finally {
    await queue.close();
  }
}
