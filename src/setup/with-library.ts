/** A published library in the user's cache, fetched if it is not there: one set-up of this user at a time. */
import { join } from 'node:path';
import { diskFailure } from './failure.js';
import { cachedLibrary, fetchLibrary, type LibraryOptions } from './library.js';
import { megabytes } from './link-tensorflow.js';
import { withLock } from './lock.js';
import type { LibrarySource } from './tensorflow-wheels.js';

/** `cannot` begins what is said of a disk that is full or not writable; `what` is fetched. */
export interface LibraryNames {
  readonly cannot: string;
  readonly what: string;
}

/** Hands the library's folder to `use` before another set-up may begin. Throws TANDEM_SETUP_FAILED. */
export async function withLibrary(
  source: LibrarySource,
  options: LibraryOptions,
  { cannot, what }: LibraryNames,
  use: (folder: string) => Promise<void> = async () => {},
): Promise<void> {
  const { cache, say } = options;
  const onWait = (pid: number) => say(`waiting for process ${pid}, which is setting up`);
  try {
    await withLock(join(cache, 'setup.lock'), onWait, async () => {
      const cached = await cachedLibrary(source, options);
      if (!cached) say(`fetching ${what} (${megabytes(source.downloadBytes)}, once for all projects of this user)`);
      await use(cached ?? (await fetchLibrary(source, options)));
    });
  } catch (error) {
    throw diskFailure(cannot, cache, error);
  }
}
