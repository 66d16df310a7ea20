/** An unlinked file in shared memory, through which processes share the slots. */

import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { dropFile } from './mapped-file.js';

/** A file system in memory (Linux), else a folder on disk, whose pages mostly stay in the page cache. */
const FOLDERS = ['/dev/shm', tmpdir()];

/**
 * A new file, mode 0600, unlinked at once. It exists as long as a process has it open, so nothing is left behind, however the
 * processes end. Throws TANDEM_OUT_OF_MEMORY.
 */
export function openSharedFile(): number {
  const folder = FOLDERS.find((path) => existsSync(path))!;
  const path = join(folder, `tandem-${randomUUID()}`);
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    unlinkSync(path);
    return fd;
  } catch (cause) {
    throw new TandemError(
      'TANDEM_OUT_OF_MEMORY',
      `no shared memory can be allocated in ${folder}: ${(cause as Error).message}`,
      {
        remedy: 'make room there, or run with --isolation thread',
        cause,
      },
    );
  }
}

/** Bytes of zeros that are written at once. */
const CHUNK = 2 ** 20;

/** Writes zeros to its first `bytes` bytes. This allocates the memory now, so a later access through a mapping cannot fail. Throws TANDEM_OUT_OF_MEMORY. */
export function clearSharedFile(fd: number, bytes: number): void {
  const zeros = new Uint8Array(Math.min(bytes, CHUNK));
  try {
    for (let done = 0; done < bytes; ) done += writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - done), done);
  } catch (cause) {
    throw new TandemError('TANDEM_OUT_OF_MEMORY', `shared memory cannot take the arena: ${(cause as Error).message}`, {
      remedy: 'lower --micro-batch or --depth, or give /dev/shm more room',
      cause,
    });
  }
}

/** Closes it and frees its memory, even if it is still mapped here. No other process may still use it. */
export function closeSharedFile(fd: number): void {
  const { size } = fstatSync(fd);
  if (size > 0) dropFile(fd, size);
  closeSync(fd);
}
