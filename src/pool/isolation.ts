/** Where a stage's workers live: threads of this process, or a process of their own. */
import { Joint } from '../arena/joint.js';
import { ENGINES, parseDevice } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import { settleThreads } from './environment.js';
import type { Pool, PoolOptions } from './pool.js';
import { ThreadPool } from './thread-pool.js';

export const ISOLATIONS = ['auto', 'thread', 'process'] as const;
export type Isolation = 'thread' | 'process';

/** `auto` takes processes for engines whose threads cannot be told different things, or that take the process down with them. */
export function resolveIsolation(
  asked: (typeof ISOLATIONS)[number],
  stages: readonly Pick<PoolOptions, 'engine'>[],
): Isolation {
  if (asked !== 'auto') return asked;
  return stages.some(({ engine }) => ENGINES[engine].prefersProcess) ? 'process' : 'thread';
}

/** The pools of a pipeline, and what joins them when they are processes. */
export interface Pools {
  readonly pools: readonly Pool[];
  readonly joint: Joint | null;
}

/**
 * What only processes need is loaded for them alone: a start with threads is a tenth of a second faster without.
 * Throws TANDEM_USAGE where stages of one process ask for different things of its libraries, or would take it down together.
 */
export async function openPools(isolation: Isolation, options: readonly PoolOptions[]): Promise<Pools> {
  for (const together of isolation === 'thread' ? [options] : options.map((each) => [each])) checkCrowd(together);
  if (isolation === 'thread') {
    // A plan may come from a file or from an earlier process, where nobody has settled what this one's libraries are loaded with.
    for (const { engine, engineOptions, device } of options) {
      settleThreads(engine, engineOptions.threads, parseDevice(device), true);
    }
    return { pools: options.map((each) => new ThreadPool(each)), joint: null };
  }
  const { ProcessPool } = await import('./process-pool.js');
  const joint = new Joint();
  return { pools: options.map((each) => new ProcessPool(each, joint)), joint };
}

/** What one process would hold. */
function checkCrowd(pools: readonly PoolOptions[]): void {
  const alone = pools.filter(({ engine, engineOptions }) =>
    ENGINES[engine].onePerProcess.includes(engineOptions.provider),
  );
  const workers = alone.reduce((sum, pool) => sum + pool.workers, 0);
  if (workers <= 1) return;
  const { engine, engineOptions } = alone[0]!;
  throw new TandemError(
    'TANDEM_USAGE',
    `${workers} workers of one process would compute with ${engine} on ${engineOptions.provider}, which ends the process now and then`,
    { remedy: alone.length > 1 ? 'use --isolation process' : 'use workers=1' },
  );
}

export async function closePools({ pools, joint }: Pools): Promise<void> {
  await Promise.all(pools.map((pool) => pool.close()));
  joint?.close();
}
