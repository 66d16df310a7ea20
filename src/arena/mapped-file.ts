/** A file in shared memory as a thread sees it: mapped, so that all processes that have it open see the same bytes. */
import { createRequire } from 'node:module';
import { TandemError } from '../errors.js';
import { byLooking, type Waking } from './waking.js';

const require = createRequire(import.meta.url);

export interface MappedFile {
  readonly buffer: ArrayBuffer;
  /** Of its first byte, in this process. */
  readonly address: bigint;
}

type Call = (...args: unknown[]) => number | bigint;

interface System {
  readonly mmap: Call;
  readonly munmap: Call;
  readonly fallocate: Call | undefined;
  readonly syscall: Call;
  view(address: bigint, bytes: number): ArrayBuffer;
  error(): number;
}

const IS_LINUX = process.platform === 'linux';

let opened: System | undefined;

/** The C library of this process. */
function system(): System {
  if (opened) return opened;
  try {
    const koffi = require('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    opened = {
      mmap: library.func(
        'intptr_t mmap(uintptr_t at, size_t bytes, int protection, int flags, int file, int64_t offset)',
      ),
      munmap: library.func('int munmap(uintptr_t at, size_t bytes)'),
      fallocate: IS_LINUX ? library.func('int fallocate(int file, int mode, int64_t from, int64_t bytes)') : undefined,
      syscall: library.func('long syscall(long number, uintptr_t word, int what, int value, const void *timeout)'),
      view: (address, bytes) => koffi.view(address, bytes),
      error: () => koffi.errno(),
    };
    return opened;
  } catch (cause) {
    throw new TandemError(
      'TANDEM_ENGINE_MISSING',
      `memory cannot be shared between processes here: ${(cause as Error).message.split('\n')[0]}`,
      { remedy: 'run with --isolation thread', cause },
    );
  }
}

// POSIX, <sys/mman.h>.
const PROT_READ_WRITE = 0x1 | 0x2;
const MAP_SHARED = 0x1;
const MAP_FAILED = -1n;

/** Unmaps what nobody can see any more. */
const unseen = new FinalizationRegistry<{ address: bigint; bytes: number }>(({ address, bytes }) => {
  system().munmap(address, bytes);
});

/**
 * The first `bytes` bytes of an open file, which must be there: a page that the file does not have ends the process. They stay mapped as long as
 * anybody has a view of them. Throws TANDEM_ENGINE_MISSING where the system cannot do that, and TANDEM_OUT_OF_MEMORY.
 */
export function mapFile(file: number, bytes: number): MappedFile {
  const { mmap, view, error } = system();
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
  opened?.fallocate?.(file, PUNCH_HOLE, 0, bytes);
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
  const { syscall } = system();
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
