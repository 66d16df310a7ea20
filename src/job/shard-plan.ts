/** The plan of a shard: stages as they suit this machine, micro-batches as in the whole job. */
import type { Settled } from '../planner/settle-rows.js';
import type { RunRequest, ShardRun } from './run-request.js';

/** What a shard's results depend on besides the job, by name. */
export function shardIdentity({ shard }: Pick<RunRequest, 'shard'>): Readonly<Record<string, string>> {
  if (!shard) return {};
  const { range, division } = shard;
  return { shard: `rows ${range.firstRow} to ${range.firstRow + range.rows - 1}`, division: JSON.stringify(division) };
}

/** Rows that differ in length are divided as the manifest says, whatever the first rows of this shard would suggest. */
export async function divided({ plan, pipeline }: Settled, shard: ShardRun | undefined): Promise<Settled> {
  if (!shard?.division.lengths) return { plan, pipeline };
  // It was opened for rows of one length.
  await pipeline?.close();
  const { microBatch, lengths } = shard.division;
  return { plan: { ...plan, microBatch, lengths }, pipeline: null };
}
