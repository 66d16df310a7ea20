/** A nameless file in shared memory: how the bytes of slots reach another process. */

import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, read, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

/** Bytes that one thread reads at a time; a thread copies a few gigabytes a second, the memory gives several times that. */
const CHUNK = 4 * 2 ** 20;

const readInThread = promisify(read);

/** Fills `bytes` from `position`; both ends must have agreed on what lies there. Large ones are read by several threads at once. */
export async function readAt(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  if (bytes.length <= CHUNK) {
    for (let done = 0; done < bytes.length; ) {
      done += some(readSync(fd, bytes, done, bytes.length - done, position + done), position + done);
    }
    return;
  }
  const chunks = Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, n) => n * CHUNK);
  await Promise.all(
    chunks.map(async (start) => {
      const end = Math.min(start + CHUNK, bytes.length);
      for (let done = start; done < end; ) {
        const { bytesRead } = await readInThread(fd, bytes, done, end - done, position + done);
        done += some(bytesRead, position + done);
      }
    }),
  );
}

function some(read: number, position: number): number {
  if (read === 0) throw new TandemError('TANDEM_INTERNAL', `shared memory ends at ${position}`);
  return read;
}

export function closeSharedFile(fd: number): void {
  closeSync(fd);
}
