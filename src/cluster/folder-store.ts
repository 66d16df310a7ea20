/** A store in a folder, which may be shared by machines: what is under a key was synced before it got its name, by link(2), which lets one win. */
import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { asTandemError, TandemError } from '../errors.js';
import { DISK, unlessMissing } from '../output/disk.js';
import { checkKey, type Store } from './store.js';

/** The folder of files that have no name yet. Its own are not listed. */
const DRAFTS = '.drafts';
/** Drafts that nobody has touched for so long are left over from a machine that is gone. */
const LEFT_OVER_MS = 24 * 3_600_000;

/** Answers of a file system that cannot link: O_EXCL decides there, and a reader may see a part. */
const CANNOT_LINK = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

export class FolderStore implements Store {
  readonly name: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.name = folder;
  }

  static async open(folder: string): Promise<FolderStore> {
    const store = new FolderStore(folder);
    await store.#tell(() => mkdir(join(folder, DRAFTS), { recursive: true }));
    await store.#sweep().catch(() => {});
    return store;
  }

  get(key: string): Promise<Uint8Array | null> {
    return this.#tell(() => unlessMissing(readFile(this.#path(key))));
  }

  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.#tell(async () => {
      const path = await this.#placeFor(key);
      const draft = await this.#draft();
      try {
        await writeSynced(draft, bytes);
        await link(draft, path);
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') return this.#isOurs(draft, path);
        if (!CANNOT_LINK.has(code)) throw error;
        if (!(await createExclusively(path, bytes))) return false;
      } finally {
        await rm(draft, { force: true });
      }
      await DISK.syncFolder(dirname(path));
      return true;
    });
  }

  putFile(key: string, from: string): Promise<void> {
    return this.#tell(async () => {
      const path = await this.#placeFor(key);
      const draft = await this.#draft();
      try {
        await rename(from, draft).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EXDEV') throw error;
          return copyFile(from, draft, constants.COPYFILE_FICLONE);
        });
        await syncFile(draft);
        await rename(draft, path);
      } finally {
        await rm(draft, { force: true });
      }
      await DISK.syncFolder(dirname(path));
    });
  }

  getFile(key: string, to: string): Promise<boolean> {
    return this.#tell(async () => {
      const found = await unlessMissing(copyFile(this.#path(key), to, constants.COPYFILE_FICLONE).then(() => true));
      return found ?? false;
    });
  }

  pathOf(key: string): string {
    return this.#path(key);
  }

  list(prefix: string): Promise<string[]> {
    return this.#tell(async () => {
      const under = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const found = await unlessMissing(readdir(join(this.#folder, under), { recursive: true, withFileTypes: true }));
      return (found ?? [])
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(this.#folder.length + 1))
        .filter((key) => key.startsWith(prefix) && !key.startsWith(`${DRAFTS}/`))
        .sort();
    });
  }

  remove(key: string): Promise<void> {
    return this.#tell(() => rm(this.#path(key), { force: true }));
  }

  #path(key: string): string {
    return join(this.#folder, checkKey(key));
  }

  async #placeFor(key: string): Promise<string> {
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true });
    return path;
  }

  async #draft(): Promise<string> {
    const drafts = join(this.#folder, DRAFTS);
    await mkdir(drafts, { recursive: true });
    return join(drafts, `${hostname().replace(/[^\w.-]/g, '_')}.${process.pid}.${randomBytes(8).toString('hex')}`);
  }

  /** On NFS the answer to a link that was made may be lost, and the client asks again: then the file is there, and it is this one. */
  async #isOurs(draft: string, path: string): Promise<boolean> {
    const [ours, theirs] = await Promise.all([draft, path].map((each) => unlessMissing(stat(each, { bigint: true }))));
    return ours?.nlink === 2n && ours.ino === theirs?.ino && ours.dev === theirs.dev;
  }

  async #sweep(): Promise<void> {
    const drafts = join(this.#folder, DRAFTS);
    for (const name of await readdir(drafts)) {
      const { mtimeMs } = await stat(join(drafts, name));
      if (Date.now() - mtimeMs > LEFT_OVER_MS) await rm(join(drafts, name), { force: true });
    }
  }

  /** The system's errors as coded ones. */
  async #tell<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof TandemError) throw error;
      const { message, remedy } = asTandemError(error);
      throw new TandemError('TANDEM_STORE_FAILED', `the store of the shards, ${this.name}: ${message}`, {
        remedy: remedy || 'see that the folder can be written, and that it is the same one on all machines',
        cause: error,
      });
    }
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function createExclusively(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await writeSynced(path, bytes);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
