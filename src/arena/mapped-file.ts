/** A shared-memory file, mapped: all processes that have it open see the same bytes. */
import { TandemError } from '../errors.js';
import { cLibrary, IS_LINUX, openedCLibrary } from './c-library.js';
import { byPolling, type WakeUp } from './wake-up.js';

export interface MappedFile {
  readonly buffer: ArrayBuffer;
  /** Address of its first byte in this process. */
  readonly address: bigint;
}

// POSIX, <sys/mman.h>.
const PROT_READ_WRITE = 0x1 | 0x2;
const MAP_SHARED = 0x1;
const MAP_FAILED = -1n;

/** Unmaps a file once its buffer is garbage-collected. */
const unseen = new FinalizationRegistry<{ address: bigint; bytes: number }>(({ address, bytes }) => {
  cLibrary().munmap(address, bytes);
});

/**
 * Maps the first `bytes` bytes of an open file. The file must be that long: access to a missing page ends the process. The mapping lasts as long as
 * a view of it exists. Throws TANDEM_ENGINE_MISSING if the system cannot map files, and TANDEM_OUT_OF_MEMORY.
 */
export function mapFile(file: number, bytes: number): MappedFile {
  const { mmap, view, error } = cLibrary();
  const address = BigInt(mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, file, 0));
  if (address !== MAP_FAILED) {
    const buffer = view(address, bytes);
    unseen.register(buffer, { address, bytes });
    return { buffer, address };
  }
  throw new TandemError('TANDEM_OUT_OF_MEMORY', `${bytes} bytes of shared memory cannot be mapped: error ${error()}`, {
    remedy: 'lower --micro-batch or --depth, or run with --isolation thread',
  });
}

// Linux, <linux/falloc.h>: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.
const PUNCH_HOLE = 0x1 | 0x2;

/** Frees the memory of a file that may still be mapped; later reads give zeros. On systems other than Linux it is freed with the last mapping. */
export function dropFile(file: number, bytes: number): void {
  openedCLibrary()?.fallocate?.(file, PUNCH_HOLE, 0, bytes);
}

// Linux, <linux/futex.h> and the system call's number for each processor. Without FUTEX_PRIVATE_FLAG, since processes share the words.
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX: Readonly<Record<string, number>> = { x64: 202, arm64: 98, riscv64: 98, loong64: 98, ppc64: 221 };

/** Milliseconds after which a sleeping thread returns: Node cannot end a thread while it is in a system call. */
const LONGEST_SLEEP = 100;
/** struct timespec: seconds, nanoseconds. */
const TIMEOUT = BigInt64Array.of(0n, BigInt(LONGEST_SLEEP) * 1_000_000n);

/** Wake-up among the threads of all processes that have mapped the file. */
export function byFutex({ address }: MappedFile): WakeUp {
  const number = IS_LINUX ? FUTEX[process.arch] : undefined;
  if (number === undefined) return byPolling;
  const { syscall } = cLibrary();
  const at = (words: Int32Array) => address + BigInt(words.byteOffset);
  return {
    wake(words, count) {
      syscall(number, at(words), FUTEX_WAKE, count, null);
    },
    sleep(words, seen) {
      syscall(number, at(words), FUTEX_WAIT, seen, TIMEOUT);
    },
  };
}
