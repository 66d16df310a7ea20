/** A file in shared memory as a thread sees it: mapped, so that all processes that have it open see the same bytes. */
import { TandemError } from '../errors.js';
import { cLibrary, IS_LINUX, openedCLibrary } from './c-library.js';
import { byLooking, type Waking } from './waking.js';

export interface MappedFile {
  readonly buffer: ArrayBuffer;
  /** Of its first byte, in this process. */
  readonly address: bigint;
}

// POSIX, <sys/mman.h>.
const PROT_READ_WRITE = 0x1 | 0x2;
const MAP_SHARED = 0x1;
const MAP_FAILED = -1n;

/** Unmaps what nobody can see any more. */
const unseen = new FinalizationRegistry<{ address: bigint; bytes: number }>(({ address, bytes }) => {
  cLibrary().munmap(address, bytes);
});

/**
 * The first `bytes` bytes of an open file, which must be there: a page that the file does not have ends the process. They stay mapped as long as
 * anybody has a view of them. Throws TANDEM_ENGINE_MISSING where the system cannot do that, and TANDEM_OUT_OF_MEMORY.
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

/** Gives the memory of a file back though it is mapped: whoever still looks sees zeros. Elsewhere than on Linux it stays until nobody can look. */
export function dropFile(file: number, bytes: number): void {
  openedCLibrary()?.fallocate?.(file, PUNCH_HOLE, 0, bytes);
}

// Linux, <linux/futex.h> and the system call's number for each processor; words that are not private to a process.
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX: Readonly<Record<string, number>> = { x64: 202, arm64: 98, riscv64: 98, loong64: 98, ppc64: 221 };

/** A thread that sleeps in the system cannot be ended, so that it comes back after so many milliseconds to see whether it should. */
const LONGEST_SLEEP = 100;
/** struct timespec: seconds, nanoseconds. */
const TIMEOUT = BigInt64Array.of(0n, BigInt(LONGEST_SLEEP) * 1_000_000n);

/** Among threads of all processes that have mapped the file. */
export function byFutex({ address }: MappedFile): Waking {
  const number = IS_LINUX ? FUTEX[process.arch] : undefined;
  if (number === undefined) return byLooking;
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
