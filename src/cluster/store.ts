/** The interface of the store that the shards of a job are committed to: a folder that all machines see, or a bucket. One job has one store. */
import { TandemError } from '../errors.js';

/**
 * Keys are relative names with `/`. What is written is durable once the promise settles, and is never seen in part.
 * Methods throw TANDEM_STORE_FAILED.
 */
export interface Store {
  /** For people: a path or an address without credentials. */
  readonly name: string;
  /** `null` if there is none. */
  get(key: string): Promise<Uint8Array | null>;
  /** Whether this call has created it; of several at a time, one has. */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Stores a file; what was there under the key is replaced. The file may be gone afterwards. */
  putFile(key: string, path: string): Promise<void>;
  /** Writes what is stored to `path`, which is created or replaced; `false` if there is none. */
  getFile(key: string, path: string): Promise<boolean>;
  /** A path under which what is stored can be read without a copy; `null` if the store has none. */
  pathOf(key: string): string | null;
  /** The keys that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  /** No error if there is none. */
  remove(key: string): Promise<void>;
}

const KEY = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;

/** Keys come from manifests and commits, which may be anybody's: none leads out of the store. Throws TANDEM_STORE_FAILED. */
export function checkKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new TandemError('TANDEM_STORE_FAILED', `"${key}" is no key of a store`, {
    remedy: 'remove the folder of the shards, and start the job again',
  });
}
