/** Connections to Redis: one for commands, which fails in seconds, and the options of a worker, which waits for Redis to come back. */
import { isIP } from 'node:net';
import type { Redis, RedisOptions } from 'ioredis';
import type { QueueAddress } from './queue-address.js';
import { queueError } from './queue-error.js';
import { queueLibrary } from './queue-library.js';

/** Milliseconds. */
const CONNECT_TIMEOUT = 3_000;
const COMMAND_TIMEOUT = 5_000;
/** For the whole of opening: connection, password and first answer. */
const OPEN_TIMEOUT = 6_000;
/** A worker's socket that has heard nothing for so long while it waits for an answer is opened anew. */
const SOCKET_TIMEOUT = 30_000;

function place({ host, port, db, username, password, tls }: QueueAddress) {
  return {
    host,
    port,
    db,
    ...(username && { username }),
    ...(password && { password }),
    // An IP address is no name of a server: TLS forbids it there. The certificate is checked against `host` all the same.
    ...(tls && { tls: { ...tls, ...(isIP(host) === 0 && { servername: host }) } }),
    connectTimeout: CONNECT_TIMEOUT,
    keepAlive: 10_000,
  };
}

/** For commands that a person waits for: without these limits a refused or frozen Redis would hang them for ever. */
export function producerOptions(address: QueueAddress) {
  return {
    ...place(address),
    retryStrategy: (attempt: number) => (attempt > 3 ? null : 200),
    commandTimeout: COMMAND_TIMEOUT,
    maxRetriesPerRequest: 3,
  };
}

/** For a worker: a command waits for Redis as long as it is away. No `commandTimeout`, which would end a blocking read. */
export function workerOptions(address: QueueAddress) {
  return {
    ...place(address),
    retryStrategy: (attempt: number) => Math.min(attempt * 200, 2_000),
    socketTimeout: SOCKET_TIMEOUT,
    maxRetriesPerRequest: null,
  };
}

/** An open connection for a command line. Throws TANDEM_QUEUE_UNREACHABLE and TANDEM_QUEUE_DENIED within seconds, TANDEM_PACKAGE_MISSING. */
export function openConnection(address: QueueAddress): Promise<Redis> {
  return open(address, producerOptions(address));
}

/** An open connection for a worker. The first attempt fails as that of a command line does; later ones wait. */
export async function openWorkerConnection(address: QueueAddress): Promise<Redis> {
  (await openConnection(address)).disconnect();
  return open(address, workerOptions(address));
}

async function open(address: QueueAddress, options: RedisOptions): Promise<Redis> {
  const { Redis } = await queueLibrary();
  const client = new Redis({ ...options, lazyConnect: true });
  // A wrong password or certificate is reported by this event alone, and tried again for ever.
  const failed = new Promise<never>((_, reject) => client.on('error', reject));
  failed.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${OPEN_TIMEOUT / 1000} s`)), OPEN_TIMEOUT);
  });
  try {
    await Promise.race([client.connect().then(() => client.ping()), failed, late]);
    return client;
  } catch (error) {
    client.disconnect();
    throw queueError(error, address);
  } finally {
    clearTimeout(timer);
  }
}
