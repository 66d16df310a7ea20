/** Engine settings in environment variables, which a native library reads once per process when it is loaded. */

import { entryOf } from '../engine/choose.js';
import type { Device } from '../engine/device.js';
import { TandemError } from '../errors.js';

/** The settings with which each engine was loaded in this process; set at its first use and fixed until the process ends. */
const loadedWith = new Map<string, { readonly threads: number; card: number | undefined }>();

/**
 * Makes `threads` the engine's thread count in this process and returns the count in force. An engine that reads its environment
 * once keeps its first count: another count then throws TANDEM_USAGE if the user `asked` for it, and is ignored if it is a default.
 * Another card throws TANDEM_USAGE too.
 */
export function settleThreads(engine: string, threads: number, device: Device, asked: boolean): number {
  const { environment } = entryOf(engine);
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

function otherCard(engine: string, first: number, second: number): TandemError {
  return new TandemError(
    'TANDEM_USAGE',
    `${engine} computes on gpu:${first} in this process and cannot also be given gpu:${second}`,
    { remedy: 'give each card a process of its own: --isolation process' },
  );
}
