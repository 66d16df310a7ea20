/** A nameless file in shared memory: how the bytes of slots reach another process. */

import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { dropFile } from './mapped-file.js';

/** Memory that is a file system where there is one (Linux), else a folder on disk, whose pages mostly stay in memory too. */
const FOLDERS = ['/dev/shm', tmpdir()];

/**
 * A new file, 0600, whose name is taken away before anybody can know it: it lives exactly as long as a process holds it
 * open, so nothing is left behind however the processes end. Throws TANDEM_OUT_OF_MEMORY.
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
      `no shared memory can be had in ${folder}: ${(cause as Error).message}`,
      {
        remedy: 'make room there, or run with --isolation thread',
        cause,
      },
    );
  }
}

/** Bytes of zeros that are written at once. */
const CHUNK = 2 ** 20;

/** Makes the first `bytes` bytes of it zeros. The memory for them is taken now, so that nobody who maps them runs out of it. Throws TANDEM_OUT_OF_MEMORY. */
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

/** Gives its memory back, whatever of it is still mapped here; the others must have let go of it. */
export function closeSharedFile(fd: number): void {
  const { size } = fstatSync(fd);
  if (size > 0) dropFile(fd, size);
  closeSync(fd);
}
