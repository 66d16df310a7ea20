/** Loads bullmq and ioredis when a command needs the queue; both are optional packages. */
import { createRequire } from 'node:module';
import { TandemError } from '../errors.js';

export interface QueueLibrary {
  readonly bullmq: typeof import('bullmq');
  readonly Redis: typeof import('ioredis').Redis;
}

let library: Promise<QueueLibrary> | null = null;

/** Throws TANDEM_PACKAGE_MISSING. */
export function queueLibrary(): Promise<QueueLibrary> {
  library ??= load();
  return library;
}

async function load(): Promise<QueueLibrary> {
  const require = createRequire(import.meta.url);
  try {
    for (const name of ['bullmq', 'ioredis']) require.resolve(name);
  } catch (cause) {
    const why = (cause as Error).message.split('\n')[0];
    throw new TandemError('TANDEM_PACKAGE_MISSING', `the queue needs packages that are not installed: ${why}`, {
      remedy: 'run: npx tandem setup queue',
      cause,
    });
  }
  const [bullmq, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')]);
  return { bullmq, Redis };
}
