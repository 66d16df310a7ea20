/** The jobs and workers that the queue knows of. Hints alone: the store of each job is the truth, and nothing of its rows is here. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { resolve } from 'node:path';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import type { QueueAddress } from './queue-address.js';
import { queueError } from './queue-error.js';

/** All keys begin with this. */
export const PREFIX = 'tandem';
const JOBS = `${PREFIX}:jobs`;
const ENDED = `${PREFIX}:ended`;
const WORKERS = `${PREFIX}:workers`;
/** What has ended is shown for a day, a silent worker for a minute. Milliseconds. */
const ENDED_SHOWN = 24 * 3_600_000;
const WORKER_SHOWN = 60_000;

const COUNT = z.int().min(0);
const TEXT = z.string().max(4_000);

const ENTRY = z.strictObject({
  schema: z.literal(1),
  /** The id of the manifest, which is its digest. */
  id: z.string().regex(/^[0-9a-f]{64}$/),
  /** Where the manifest, the commits and the parts are, as `openStore` takes it. */
  store: TEXT.min(1),
  /** For people. */
  output: TEXT,
  shards: COUNT,
  rows: COUNT,
  /** Whether an output that exists is written over. */
  force: z.boolean(),
  /** Milliseconds since 1970. */
  at: z.number(),
});

/** A job that was submitted. */
export type JobEntry = z.infer<typeof ENTRY>;

const END = z.strictObject({
  state: z.enum(['merged', 'cancelled', 'failed']),
  output: TEXT,
  shards: COUNT,
  rows: COUNT,
  at: z.number(),
  /** Why it failed. */
  why: TEXT.optional(),
});

export type JobEnd = z.infer<typeof END>;

const WORKER = z.strictObject({
  host: TEXT,
  pid: COUNT,
  version: TEXT,
  /** Milliseconds since 1970: of the start, and of this report. */
  since: z.number(),
  at: z.number(),
  state: z.enum(['idle', 'running', 'draining']),
  /** What it runs. */
  job: TEXT.optional(),
  shard: COUNT.optional(),
  shardSince: z.number().optional(),
  shardRows: COUNT.optional(),
  rowsPerSecond: z.number().optional(),
  /** Since it started. */
  shardsDone: COUNT,
  shardsFailed: COUNT,
  rowsDone: COUNT,
  /** Jobs that it does not take, and why. */
  refuses: z.record(z.string(), TEXT),
});

export type WorkerReport = z.infer<typeof WORKER>;

export interface View {
  readonly jobs: readonly JobEntry[];
  readonly ended: ReadonlyMap<string, JobEnd>;
  /** By id. */
  readonly workers: ReadonlyMap<string, WorkerReport>;
  /** Entries that are not signed, or that no version of tandem has written. */
  readonly refused: readonly string[];
}

export class Registry {
  readonly #client: Redis;
  readonly #address: QueueAddress;

  constructor(client: Redis, address: QueueAddress) {
    this.#client = client;
    this.#address = address;
  }

  /** The methods throw TANDEM_QUEUE_*. A job that is there already stays as it is. */
  async addJob(entry: JobEntry): Promise<void> {
    await this.#ask(() =>
      this.#client.multi().hsetnx(JOBS, entry.id, this.#signed(entry)).hdel(ENDED, entry.id).exec(),
    );
  }

  async endJob({ id, output, shards, rows }: JobEntry, state: JobEnd['state'], why?: string): Promise<void> {
    const end: JobEnd = { state, output, shards, rows, at: Date.now(), ...(why && { why }) };
    await this.#ask(() => this.#client.multi().hset(ENDED, id, JSON.stringify(end)).hdel(JOBS, id).exec());
  }

  async report(worker: string, report: WorkerReport): Promise<void> {
    await this.#ask(() => this.#client.hset(WORKERS, worker, JSON.stringify(report)));
  }

  async removeWorker(worker: string): Promise<void> {
    await this.#ask(() => this.#client.hdel(WORKERS, worker));
  }

  async view(): Promise<View> {
    const answers = await this.#ask(() => this.#client.pipeline().hgetall(JOBS).hgetall(ENDED).hgetall(WORKERS).exec());
    const [jobs, ended, workers] = answers!.map(([error, found]) => {
      if (error) throw queueError(error, this.#address);
      return Object.entries(found as Record<string, string>);
    });
    const read = jobs!.map(([id, text]) => ({ id, entry: this.#read(text) }));
    const now = Date.now();
    return {
      jobs: read.flatMap(({ entry }) => (entry ? [entry] : [])).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)),
      ended: parsed(END, ended!, ({ at }) => now - at < ENDED_SHOWN),
      workers: parsed(WORKER, workers!, ({ at }) => now - at < WORKER_SHOWN),
      refused: read.flatMap(({ id, entry }) => (entry ? [] : [id])),
    };
  }

  /** Whether this caller leads for so long: one of all machines reconciles a job. */
  async lead(id: string, worker: string, milliseconds: number): Promise<boolean> {
    const key = `${PREFIX}:lead:${id}`;
    return (await this.#ask(() => this.#client.set(key, worker, 'PX', milliseconds, 'NX'))) === 'OK';
  }

  /** Removes what is shown no more. */
  async sweep(): Promise<void> {
    const old = async (key: string, shown: number) => {
      const found = Object.entries(await this.#ask(() => this.#client.hgetall(key)));
      const gone = found.filter(([, text]) => !(Date.now() - (timeOf(text) ?? 0) < shown)).map(([id]) => id);
      if (gone.length > 0) await this.#ask(() => this.#client.hdel(key, ...gone));
    };
    await old(ENDED, ENDED_SHOWN);
    await old(WORKERS, WORKER_SHOWN);
  }

  #signed(entry: JobEntry): string {
    const text = JSON.stringify(entry);
    return this.#address.secret ? `${this.#signature(text)} ${text}` : text;
  }

  /** `null` for what this machine must not trust. */
  #read(text: string): JobEntry | null {
    const signature = /^([0-9a-f]{64}) /.exec(text)?.[1];
    const body = signature ? text.slice(65) : text;
    if (this.#address.secret) {
      if (!signature || !timingSafeEqual(Buffer.from(signature), Buffer.from(this.#signature(body)))) return null;
    }
    return ENTRY.safeParse(json(body)).data ?? null;
  }

  #signature(text: string): string {
    return createHmac('sha256', this.#address.secret!).update(text).digest('hex');
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (error) {
      throw queueError(error, this.#address);
    }
  }
}

/** The job that an id, the beginning of one, or an output names. Throws TANDEM_JOB_UNKNOWN. */
export function findJob(
  { jobs, ended, refused }: View,
  asked: string,
): { readonly id: string; readonly entry?: JobEntry; readonly end?: JobEnd } {
  const fits = (id: string, output: string) =>
    output === asked || output === resolve(asked) || (/^[0-9a-f]{4,}$/.test(asked) && id.startsWith(asked));
  const open = jobs.filter(({ id, output }) => fits(id, output)).map((entry) => ({ id: entry.id, entry }));
  const over = [...ended].filter(([id, { output }]) => fits(id, output)).map(([id, end]) => ({ id, end }));
  // An output may have been made several times: the job that is open, else the last.
  const found = [...open, ...over.sort((a, b) => b.end.at - a.end.at)];
  if (found.length > 0) return found[0]!;
  const unsigned = refused.some((id) => id.startsWith(asked))
    ? ': its entry is not signed with TANDEM_QUEUE_SECRET'
    : '';
  throw new TandemError('TANDEM_JOB_UNKNOWN', `the queue knows no job "${asked}"${unsigned}`, {
    remedy: 'tandem status --queue ADDRESS lists its jobs; give the beginning of an id, or the path of the output',
  });
}

function parsed<T>(schema: z.ZodType<T>, found: readonly (readonly [string, string])[], keep: (value: T) => boolean) {
  const values = found.map(([id, text]) => [id, schema.safeParse(json(text)).data] as const);
  return new Map(values.filter((each): each is readonly [string, T & {}] => each[1] !== undefined && keep(each[1])));
}

function timeOf(text: string): number | undefined {
  const found = json(text) as { at?: unknown } | null;
  return typeof found?.at === 'number' ? found.at : undefined;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
