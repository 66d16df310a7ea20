/** Isolation: whether a stage's workers are threads of this process or of a separate process. */
import { cLibrary } from '../arena/c-library.js';
import { ProcessLink } from '../arena/process-link.js';
import { entryOf, isOnePerProcess } from '../engine/choose.js';
import { parseDevice } from '../engine/device.js';
import { ENGINES } from '../engine/list.js';
import { TandemError } from '../errors.js';
import { isNode, runtimeName } from '../runtime.js';
import { settleThreads } from './environment.js';
import type { Pool, PoolOptions } from './pool.js';
import { ThreadPool } from './thread-pool.js';

export const ISOLATIONS = ['auto', 'thread', 'process'] as const;
export type Isolation = 'thread' | 'process';

/**
 * `auto` means processes for engines whose settings are the same for all threads of a process or that may crash it, and for a `budget`, since
 * memory is measured by process. It means threads if processes cannot share memory, as on Windows.
 */
export function resolveIsolation(
  asked: (typeof ISOLATIONS)[number],
  stages: readonly Pick<PoolOptions, 'engine'>[],
  { budget = false, canShare = canShareMemory }: { readonly budget?: boolean; readonly canShare?: () => boolean } = {},
): Isolation {
  if (asked !== 'auto') return asked;
  const wanted = budget || stages.some(({ engine }) => entryOf(engine).prefersProcess);
  return wanted && canShare() ? 'process' : 'thread';
}

/** Whether stages can be processes here: the system calls for memory between processes can be called. Not on Windows. */
export function canShareMemory(): boolean {
  try {
    cLibrary();
    return true;
  } catch {
    return false;
  }
}

/** The pools of a pipeline, and the link between them if they are processes. */
export interface Pools {
  readonly pools: readonly Pool[];
  readonly processLink: ProcessLink | null;
}

/**
 * The code of processes is imported only for processes: without it a start with threads is a tenth of a second faster.
 * Throws TANDEM_USAGE if stages of one process need different settings of a library, or would crash the process together.
 */
export async function openPools(isolation: Isolation, options: readonly PoolOptions[]): Promise<Pools> {
  // Before any worker starts, because workers cannot do it. All of them: a user's own engine may load another's library too.
  for (const { prepareProcess } of ENGINES) prepareProcess?.();
  if (!isNode()) checkRuntime(options);
  for (const together of isolation === 'thread' ? [options] : options.map((each) => [each]))
    checkOnePerProcess(together);
  if (isolation === 'thread') {
    // The plan may come from a file or an earlier process, so the libraries of this process may not have their settings yet.
    for (const { engine, engineOptions, device } of options) {
      settleThreads(engine, engineOptions.threads, parseDevice(device), true);
    }
    return { pools: options.map((each) => new ThreadPool(each)), processLink: null };
  }
  checkProcesses();
  const { ProcessPool } = await import('./process-pool.js');
  const processLink = new ProcessLink();
  return { pools: options.map((each) => new ProcessPool(each, processLink)), processLink };
}

/** Bun does not pass changes of `process.env` on to native libraries, and Deno does not list the loaded ones. */
function checkRuntime(options: readonly PoolOptions[]): void {
  for (const { engine, engineOptions, device } of options) {
    const variables = entryOf(engine).environment(engineOptions.threads, parseDevice(device));
    if (Object.keys(variables).length === 0) continue;
    throw new TandemError(
      'TANDEM_RUNTIME_UNSUPPORTED',
      `${engine} is set by environment variables, for which it needs Node; this is ${runtimeName()}`,
      { remedy: 'run tandem with node, or use an ONNX model' },
    );
  }
}

/** A stage's process inherits its pipe and memory as file descriptors, which only Node supports. */
function checkProcesses(): void {
  if (isNode()) return;
  throw new TandemError(
    'TANDEM_RUNTIME_UNSUPPORTED',
    `stages in separate processes need Node; this is ${runtimeName()}`,
    {
      remedy: 'run tandem with node, or let stages be threads: --isolation thread, without memory=',
    },
  );
}

/** Checks the pools that one process would hold. */
function checkOnePerProcess(pools: readonly PoolOptions[]): void {
  const alone = pools.filter(({ engine, engineOptions }) => isOnePerProcess(engine, engineOptions.provider));
  const workers = alone.reduce((sum, pool) => sum + pool.workers, 0);
  if (workers <= 1) return;
  const { engine, engineOptions } = alone[0]!;
  throw new TandemError(
    'TANDEM_USAGE',
    `${workers} workers of one process would compute with ${engine} on ${engineOptions.provider}, which ends the process now and then`,
    { remedy: alone.length > 1 ? 'use --isolation process' : 'use workers=1' },
  );
}

export async function closePools({ pools, processLink }: Pools): Promise<void> {
  await Promise.all(pools.map((pool) => pool.close()));
  processLink?.close();
}
