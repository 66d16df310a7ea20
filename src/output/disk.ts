/** The file operations that an output uses, behind one interface, so that a test can simulate a system crash. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';

/** An open file. Written bytes survive a system crash only after `sync` has settled. */
export type DiskFile = Pick<FileHandle, 'write' | 'read' | 'truncate' | 'sync' | 'close'>;

/** Methods throw the system's errors. */
export interface Disk {
  /** Creates an empty file; an existing file of that name is replaced. */
  create(path: string): Promise<DiskFile>;
  /** Opens an existing file for reading and writing; `null` if there is none. Links are not followed. */
  open(path: string): Promise<DiskFile | null>;
  /** Size of the file in bytes; `null` if there is none. */
  sizeOf(path: string): Promise<number | null>;
  rename(from: string, to: string): Promise<void>;
  /** No error if the file does not exist. */
  remove(path: string): Promise<void>;
  /** Makes created, removed and renamed files of the folder survive a system crash. */
  syncFolder(folder: string): Promise<void>;
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants;

/** Error codes of systems that cannot sync a folder; a rename is then as durable as the system makes it. */
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

/** `null` for a file that is not there. */
export async function unlessMissing<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
