/** The kernel's lock on an open file: the kernel releases it with the last descriptor, even if the process is killed, and all namespaces of the kernel see it. */
import { cLibrary, IS_LINUX } from '../arena/c-library.js';

/**
 * Open file description locks. A lock of a process (`F_SETLK`) is released when the process closes any descriptor of the file, and
 * `flock` cannot be tested without taking it. Values of <fcntl.h>, the same on all Linux architectures.
 */
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** `struct flock`: type and whence (16 bits), start and length (64 bits; 0 and 0 are the whole file), process (32 bits), padded. */
const FLOCK_BYTES = 32;

/** Locks the file, which is open for writing. Returns `false` if the kernel or the file system does not support it. */
export function lockDescriptor(file: number): boolean {
  return control(file, F_OFD_SETLK) !== null;
}

/** Whether another open file holds the lock; `null` if the kernel or the file system does not report it. */
export function isLockedElsewhere(file: number): boolean | null {
  const type = control(file, F_OFD_GETLK);
  return type === null ? null : type !== F_UNLCK;
}

/** The lock type that the call wrote to its argument; `null` if the call failed. */
function control(file: number, command: number): number | null {
  if (!IS_LINUX) return null;
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(F_WRLCK, 0);
  try {
    return cLibrary().fcntl(file, command, lock) === 0 ? lock.readInt16LE(0) : null;
  } catch {
    // Without the native addon (koffi) only leases are used.
    return null;
  }
}
