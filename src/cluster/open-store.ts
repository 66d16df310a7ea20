/** Opens the store of a job by its address. */
import { resolve } from 'node:path';
import { TandemError } from '../errors.js';
import type { Store } from './store.js';

/** `s3://bucket/prefix`, or the path of a folder, which is created. Credentials of a bucket are in the environment. Throws TANDEM_USAGE, TANDEM_PACKAGE_MISSING, TANDEM_STORE_FAILED. */
export async function openStore(where: string): Promise<Store> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(where)?.[1];
  if (scheme === undefined || scheme === 'file') {
    const { FolderStore } = await import('./folder-store.js');
    return FolderStore.open(resolve(where.replace(/^file:\/\//, '')));
  }
  if (scheme === 's3') return (await import('./s3-store.js')).S3Store.open(where);
  throw new TandemError('TANDEM_USAGE', `${scheme}:// is no store of shards`, {
    remedy: 'name a folder that all machines see, or s3://BUCKET/PREFIX',
  });
}
