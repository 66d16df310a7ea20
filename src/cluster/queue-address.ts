/** The address of the queue, and the secrets that open it. Secrets come from the environment or from files, never from the command line. */
import { readFileSync } from 'node:fs';
import { TandemError } from '../errors.js';

/** The variables that are read here; `tandem` refuses others that look like them. */
export const QUEUE_VARIABLES = [
  'TANDEM_QUEUE',
  'TANDEM_QUEUE_USER',
  'TANDEM_QUEUE_PASSWORD',
  'TANDEM_QUEUE_PASSWORD_FILE',
  'TANDEM_QUEUE_CA',
  'TANDEM_QUEUE_CERT',
  'TANDEM_QUEUE_CERT_KEY',
  'TANDEM_QUEUE_SECRET',
  'TANDEM_QUEUE_SECRET_FILE',
] as const;

export interface QueueAddress {
  /** What messages show: scheme, host, port and database, without user or password. */
  readonly shown: string;
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Signs what is written to the queue, and checks what is read. */
  readonly secret?: string;
}

const EXAMPLE = 'for example --queue redis://queue.example:6379, or rediss:// for TLS';

/** @param given the value of `--queue`; absent: TANDEM_QUEUE. Throws TANDEM_USAGE. */
export function queueAddress(given: string | undefined, env: NodeJS.ProcessEnv = process.env): QueueAddress {
  const text = given ?? env.TANDEM_QUEUE;
  if (!text) {
    const remedy = `give --queue or set TANDEM_QUEUE: ${EXAMPLE}`;
    throw new TandemError('TANDEM_USAGE', 'the address of the queue is missing', { remedy });
  }
  const url = parse(text, given === undefined ? 'TANDEM_QUEUE' : '--queue');
  if (given !== undefined && url.password !== '') {
    throw new TandemError(
      'TANDEM_USAGE',
      'the address in --queue holds a password, which every user of this machine can read',
      {
        remedy:
          'leave it out and set TANDEM_QUEUE_PASSWORD or TANDEM_QUEUE_PASSWORD_FILE (or the whole address in TANDEM_QUEUE)',
      },
    );
  }
  const tls = url.protocol === 'rediss:';
  const port = url.port === '' ? 6379 : Number(url.port);
  const db = databaseOf(url);
  const username = env.TANDEM_QUEUE_USER ?? decodeURIComponent(url.username);
  const password = secretOf('TANDEM_QUEUE_PASSWORD', env) ?? decodeURIComponent(url.password);
  const secret = secretOf('TANDEM_QUEUE_SECRET', env);
  return {
    shown: `${url.protocol}//${url.hostname}:${port}${db === 0 ? '' : `/${db}`}`,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    db,
    ...(username && { username }),
    ...(password && { password }),
    ...(secret && { secret }),
    ...(tls && { tls: certificates(env) }),
  };
}

function parse(text: string, where: string): URL {
  let url: URL | null = null;
  try {
    url = new URL(text);
  } catch {
    // Refused below; the text may hold a password, so it is not shown.
  }
  if (url && ['redis:', 'rediss:'].includes(url.protocol) && url.hostname !== '') return url;
  throw new TandemError('TANDEM_USAGE', `${where} is no address of a Redis server`, { remedy: EXAMPLE });
}

function databaseOf({ pathname }: URL): number {
  if (/^\/?$/.test(pathname)) return 0;
  if (/^\/\d{1,4}$/.test(pathname)) return Number(pathname.slice(1));
  throw new TandemError('TANDEM_USAGE', 'the path of the queue is the number of a database', {
    remedy: 'for example redis://queue.example:6379/2',
  });
}

/** A variable, or the file that `NAME_FILE` names, as containers mount secrets. */
function secretOf(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const file = env[`${name}_FILE`];
  return file ? read(file, `${name}_FILE`).trimEnd() : env[name];
}

function certificates(env: NodeJS.ProcessEnv): NonNullable<QueueAddress['tls']> {
  const file = (name: string) => (env[name] ? read(env[name], name) : undefined);
  const [ca, cert, key] = [file('TANDEM_QUEUE_CA'), file('TANDEM_QUEUE_CERT'), file('TANDEM_QUEUE_CERT_KEY')];
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function read(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `the file of ${variable} cannot be read: ${(cause as Error).message}`, {
      remedy: `correct or unset ${variable}`,
      cause,
    });
  }
}
