/** The C library of this process: the system calls that Node does not offer. */
import { createRequire } from 'node:module';
import { TandemError } from '../errors.js';

const require = createRequire(import.meta.url);

type Call = (...args: unknown[]) => number | bigint;

export interface CLibrary {
  readonly mmap: Call;
  readonly munmap: Call;
  readonly socketpair: Call;
  readonly fallocate: Call | undefined;
  readonly syscall: Call;
  readonly setenv: Call;
  readonly _exit: Call;
  readonly fcntl: Call;
  view(address: bigint, bytes: number): ArrayBuffer;
  error(): number;
}

export const IS_LINUX = process.platform === 'linux';

let opened: CLibrary | undefined;

/** The library, if `cLibrary` has been called before. */
export function openedCLibrary(): CLibrary | undefined {
  return opened;
}

/** Throws TANDEM_ENGINE_MISSING if it cannot be called or lacks a function that shared memory needs. */
export function cLibrary(): CLibrary {
  if (opened) return opened;
  try {
    const koffi = require('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    opened = {
      mmap: library.func(
        'intptr_t mmap(uintptr_t at, size_t bytes, int protection, int flags, int file, int64_t offset)',
      ),
      munmap: library.func('int munmap(uintptr_t at, size_t bytes)'),
      socketpair: library.func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)'),
      fallocate: IS_LINUX ? library.func('int fallocate(int file, int mode, int64_t from, int64_t bytes)') : undefined,
      syscall: library.func('long syscall(long number, uintptr_t word, int what, int value, const void *timeout)'),
      setenv: library.func('int setenv(const char *name, const char *value, int replace)'),
      _exit: library.func('void _exit(int status)'),
      fcntl: library.func('int fcntl(int file, int command, void *lock)'),
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
