/** What a failed connection to the queue means, as a coded error. The address is shown without user and password. */
import { TandemError } from '../errors.js';
import type { QueueAddress } from './queue-address.js';

/** The least rights, as `ACL SETUSER` takes them. */
export const LEAST_RIGHTS = '~tandem:* &* +@all -@admin -@dangerous +info';

interface Kind {
  readonly code: 'TANDEM_QUEUE_UNREACHABLE' | 'TANDEM_QUEUE_DENIED';
  readonly found: RegExp;
  readonly what: string;
  readonly remedy: string;
}

const START = 'see that the address is right and Redis runs there: redis-cli -h HOST -p PORT ping';

/** In order: the first that fits. Each is held against the error's code and message. */
const KINDS: readonly Kind[] = [
  {
    code: 'TANDEM_QUEUE_DENIED',
    found: /WRONGPASS|invalid username-password/,
    what: 'refuses the user or the password',
    remedy: 'correct TANDEM_QUEUE_USER and TANDEM_QUEUE_PASSWORD (or TANDEM_QUEUE_PASSWORD_FILE)',
  },
  {
    code: 'TANDEM_QUEUE_DENIED',
    found: /NOAUTH/,
    what: 'wants a password',
    remedy: 'set TANDEM_QUEUE_PASSWORD or TANDEM_QUEUE_PASSWORD_FILE, and TANDEM_QUEUE_USER where there is one',
  },
  {
    code: 'TANDEM_QUEUE_DENIED',
    found: /NOPERM/,
    what: 'gives this user too few rights',
    remedy: `the least that are needed: ACL SETUSER tandem on >PASSWORD ${LEAST_RIGHTS}`,
  },
  {
    code: 'TANDEM_QUEUE_DENIED',
    found: /SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS|self.signed certificate|certificate/i,
    what: 'has a certificate that is not trusted',
    remedy: 'name the certificate of its authority: TANDEM_QUEUE_CA=/path/ca.pem',
  },
  {
    code: 'TANDEM_QUEUE_DENIED',
    found: /EPROTO|wrong version number|ssl3?_|SSL routines/i,
    what: 'does not speak TLS as it is expected',
    remedy: 'use redis:// where the server has no TLS, and rediss:// where it has',
  },
  {
    code: 'TANDEM_QUEUE_UNREACHABLE',
    found: /ENOTFOUND|EAI_/,
    what: 'has no address: there is no such host',
    remedy: START,
  },
  {
    code: 'TANDEM_QUEUE_UNREACHABLE',
    found: /ECONNREFUSED/,
    what: 'is not there: the connection is refused',
    remedy: START,
  },
  {
    code: 'TANDEM_QUEUE_UNREACHABLE',
    found: /ETIMEDOUT|timed out|no answer/i,
    what: 'does not answer',
    remedy: 'see that Redis is not stopped or overloaded, and that no firewall drops the connection',
  },
  {
    code: 'TANDEM_QUEUE_UNREACHABLE',
    found: /Protocol error|ParserError/i,
    what: 'does not speak the protocol of Redis',
    remedy: START,
  },
  {
    code: 'TANDEM_QUEUE_UNREACHABLE',
    found: /ECONNRESET|EPIPE|Connection is closed|closed|MaxRetriesPerRequest|ENETUNREACH|EHOSTUNREACH|LOADING|ENOENT/i,
    what: 'closes the connection',
    remedy: 'see that Redis runs there, and that redis:// (plain) or rediss:// (TLS) is what it speaks',
  },
];

/** A coded error as it is; what Redis or the network reports becomes TANDEM_QUEUE_UNREACHABLE or TANDEM_QUEUE_DENIED. */
export function queueError(error: unknown, { shown }: Pick<QueueAddress, 'shown'>): TandemError {
  if (error instanceof TandemError) return error;
  const { code = '', message = String(error) } = (error ?? {}) as { code?: string; message?: string };
  const kind = KINDS.find(({ found }) => found.test(`${code} ${message}`));
  if (!kind) {
    const what = `the queue at ${shown} answers with an error: ${message}`;
    return new TandemError('TANDEM_QUEUE_UNREACHABLE', what, { remedy: START, cause: error });
  }
  return new TandemError(kind.code, `the queue at ${shown} ${kind.what}`, { remedy: kind.remedy, cause: error });
}
