/** The disk as an output uses it: one seam, so that a test can stand in the system's place and crash. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';

/** An open file. Written bytes outlive a crash of the system only once `sync` has settled. */
export type DiskFile = Pick<FileHandle, 'write' | 'read' | 'truncate' | 'sync' | 'close'>;

/** Methods throw the system's errors. */
export interface Disk {
  /** A new empty file, in place of one that has the name. */
  create(path: string): Promise<DiskFile>;
  /** The file that has the name, for reading and writing; `null` where there is none. Links are not followed. */
  open(path: string): Promise<DiskFile | null>;
  /** Bytes of what has the name; `null` where nothing has. */
  sizeOf(path: string): Promise<number | null>;
  rename(from: string, to: string): Promise<void>;
  /** No error where there is nothing. */
  remove(path: string): Promise<void>;
  /** Makes names that came, went or changed in the folder outlive a crash of the system. */
  syncFolder(folder: string): Promise<void>;
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants;

/** Systems that cannot sync a folder say so with one of these; a rename is then as durable as they make it. */
const NO_FOLDER_SYNC = new Set(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP']);

export const DISK: Disk = {
  async create(path) {
    await rm(path, { force: true });
    return open(path, O_RDWR | O_CREAT | O_EXCL, 0o666);
  },
  open: (path) => unlessMissing(open(path, O_RDWR | O_NOFOLLOW)),
  sizeOf: async (path) => (await unlessMissing(lstat(path)))?.size ?? null,
  rename,
  remove: (path) => rm(path, { force: true }),
  async syncFolder(folder) {
    let handle: FileHandle | undefined;
    try {
      handle = await open(folder, 'r');
      await handle.sync();
    } catch (error) {
      if (!NO_FOLDER_SYNC.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    } finally {
      await handle?.close();
    }
  },
};

async function unlessMissing<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
