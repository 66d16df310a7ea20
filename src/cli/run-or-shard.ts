/** A job that a command line asks for: whole, or one shard of it. */
import { TandemError } from '../errors.js';
import { perform, type Request, requestOf } from './run.js';
import type { RunFlags } from './run-flags.js';
import type { ShardFlags } from './shard-flags.js';

/** Runs or resumes the job, or one shard of it, and returns the exit status. */
export async function run(model: string, { shard, store, merge, ...flags }: RunFlags): Promise<number> {
  return performOrShard(requestOf(model, flags), { shard, store, merge });
}

/** Shards are loaded only where one is asked for. Throws TANDEM_USAGE. */
export async function performOrShard(request: Request, { shard, store, merge }: ShardFlags): Promise<number> {
  if (shard) return (await import('./shard.js')).performShard(request, { shard, store, merge });
  if (store === undefined && merge !== false) return perform(request);
  throw new TandemError('TANDEM_USAGE', `${store === undefined ? '--no-merge' : '--store'} is for a job in shards`, {
    remedy: 'add --shard I/N',
  });
}
