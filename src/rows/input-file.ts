/** Opens an input by its path: a regular file is read by position, a pipe in order. */
import { type FileHandle, open } from 'node:fs/promises';
import { TandemError } from '../errors.js';

export interface InputFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes at the time of opening; `null` for a pipe. Bytes that are appended later are not read. */
  readonly size: number | null;
}

/** Throws TANDEM_INPUT_MISSING if the file cannot be opened, TANDEM_INPUT_INVALID for a folder. */
export async function openInput(path: string): Promise<InputFile> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : cause.message;
    throw new TandemError('TANDEM_INPUT_MISSING', `the input ${path} cannot be opened: ${reason}`, {
      remedy: 'check the path and its permissions',
      cause,
    });
  });
  const stats = await handle.stat();
  if (stats.isDirectory()) {
    await handle.close();
    throw new TandemError('TANDEM_INPUT_INVALID', `the input ${path} is a folder`, { remedy: 'name a file inside it' });
  }
  return { path, handle, size: stats.isFile() ? stats.size : null };
}
