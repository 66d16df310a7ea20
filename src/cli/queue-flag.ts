/** The flag that names the queue, for all verbs that speak to it. */
import { Option } from 'commander';

const WHAT =
  'the Redis that holds the queue: redis://host:6379, or rediss:// for TLS (default: TANDEM_QUEUE); user, password and certificates are read from TANDEM_QUEUE_USER, TANDEM_QUEUE_PASSWORD[_FILE], TANDEM_QUEUE_CA, _CERT, _CERT_KEY';

export function queueOption(): Option {
  return new Option('--queue <address>', WHAT);
}
