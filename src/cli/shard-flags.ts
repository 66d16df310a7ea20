/** The flags of a job whose shards are started one by one. */
import type { Command } from 'commander';
import { TandemError } from '../errors.js';

export interface ShardFlags {
  readonly shard?: ShardPlace | undefined;
  readonly store?: string | undefined;
  /** False for a task that only runs its shard. */
  readonly merge?: boolean | undefined;
}

/** Shard `index`, from 0, of `of`. */
export interface ShardPlace {
  readonly index: number;
  readonly of: number;
}

export function withShards(command: Command): Command {
  return command
    .option(
      '--shard <i/n>',
      'run shard I, from 0, of N on this machine; the last one to end merges them (Slurm arrays, Kubernetes Indexed Jobs)',
      parseShard,
    )
    .option(
      '--store <where>',
      'where shards are committed: a folder that all machines see, or s3://BUCKET/PREFIX (default: OUTPUT.shards)',
    )
    .option('--no-merge', 'with --shard: leave the merge to tandem merge');
}

/** Throws TANDEM_USAGE. */
function parseShard(text: string): ShardPlace {
  const [, index, of] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  if (index !== undefined && Number(index) < Number(of)) return { index: Number(index), of: Number(of) };
  throw new TandemError('TANDEM_USAGE', `--shard "${text}" is no shard`, {
    remedy: 'write I/N, where I is from 0 to N-1: --shard 0/50 … --shard 49/50',
  });
}
