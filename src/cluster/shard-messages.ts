/** The messages between a worker and the process that runs its shards. */
import type { WireError } from '../errors.js';
import type { Probe } from './probe-shard.js';

export type ToShardProcess =
  /** Could a shard of this job run here, with the same bytes? */
  | { readonly kind: 'check'; readonly store: string; readonly roots: readonly string[] }
  | { readonly kind: 'run'; readonly store: string; readonly shard: number; readonly attempt: string }
  /** Compute some rows of a shard and keep nothing of it: does the process live through them? */
  | {
      readonly kind: 'probe';
      readonly store: string;
      readonly shard: number;
      readonly attempt: string;
      readonly probe: Probe;
    }
  | { readonly kind: 'merge'; readonly store: string; readonly force: boolean }
  /** Finish the rows in flight and end. What is done is kept for the next attempt. */
  | { readonly kind: 'stop' };

export type FromShardProcess =
  | { readonly kind: 'progress'; readonly rows: number }
  | { readonly kind: 'done'; readonly rows: number; readonly failedRows: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: WireError };
