/** Engine settings that a native library reads once per process, from environment variables, when it is loaded. */
import type { EngineName } from '../engine/engine.js';
import { type Device, ENGINES } from '../engine/registry.js';
import { TandemError } from '../errors.js';

/** What each engine was loaded with in this process; set at its first use and true until the process ends. */
const loadedWith = new Map<EngineName, { readonly threads: number; card: number | undefined }>();

/**
 * Makes `threads` the engine's thread count in this process and returns the count that is in force. An engine that reads
 * its environment once keeps the first one: a different `asked` count then throws TANDEM_USAGE, a default one gives way. So does another card.
 */
export function settleThreads(engine: EngineName, threads: number, device: Device, asked: boolean): number {
  const { environment } = ENGINES[engine];
  const variables = environment(threads, device);
  if (Object.keys(variables).length === 0) return threads;
  const inForce = loadedWith.get(engine);
  if (inForce === undefined) {
    Object.assign(process.env, variables);
    loadedWith.set(engine, { threads, card: device.kind === 'gpu' ? device.index : undefined });
    return threads;
  }
  if (device.kind === 'gpu') {
    inForce.card ??= device.index;
    if (inForce.card !== device.index) throw otherCard(engine, inForce.card, device.index);
  }
  if (asked && inForce.threads !== threads) {
    throw new TandemError(
      'TANDEM_USAGE',
      `${engine} already runs with ${inForce.threads} threads in this process and cannot also have ${threads}`,
      {
        remedy:
          'give every stage of one process the same threads=; use more workers= for a stage that needs more cores',
      },
    );
  }
  return inForce.threads;
}

function otherCard(engine: EngineName, first: number, second: number): TandemError {
  return new TandemError(
    'TANDEM_USAGE',
    `${engine} computes on gpu:${first} in this process and cannot also be given gpu:${second}`,
    { remedy: 'give each card a process of its own: --isolation process' },
  );
}
