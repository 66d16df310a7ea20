/** An input that was opened by its path: a regular file, read by position, or a pipe, read as it comes. */
import { type FileHandle, open } from 'node:fs/promises';
import { TandemError } from '../errors.js';

export interface InputFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes at the time of opening; `null` for a pipe. What is appended later is not read. */
  readonly size: number | null;
}

/** Throws TANDEM_INPUT_MISSING where there is nothing to open, TANDEM_INPUT_INVALID for a folder. */
export async function openInput(path: string): Promise<InputFile> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : cause.message;
    throw new TandemError('TANDEM_INPUT_MISSING', `the input ${path} cannot be opened: ${reason}`, {
      remedy: 'look at the path and at its permissions',
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
