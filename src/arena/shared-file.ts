/** A nameless file in shared memory: how the bytes of slots reach another process. */

import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TandemError } from '../errors.js';

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

/** Writes all of `bytes` at `position`. Throws TANDEM_OUT_OF_MEMORY when shared memory is full. */
export function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  } catch (cause) {
    throw new TandemError('TANDEM_OUT_OF_MEMORY', `shared memory cannot take the arena: ${(cause as Error).message}`, {
      remedy: 'lower --micro-batch or --depth, or give /dev/shm more room',
      cause,
    });
  }
}

/** Fills `bytes` from `position`; both ends must have agreed on what lies there. */
export function readAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(fd, bytes, done, bytes.length - done, position + done);
    if (read === 0) throw new TandemError('TANDEM_INTERNAL', `shared memory ends before ${position + bytes.length}`);
    done += read;
  }
}

export function closeSharedFile(fd: number): void {
  closeSync(fd);
}
