/** Gives free memory of this process back to the system. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

let trim: ((pad: number) => number) | null | undefined;

/**
 * Where the C library keeps what was freed: glibc's `malloc_trim(3)`, which releases free pages of all its heaps. Without it a process that
 * releases a slice keeps up to all of its memory, whichever blocks the engine took it in. Nothing happens with other C libraries.
 */
export function trimMemory(): void {
  if (trim === undefined) trim = process.platform === 'linux' ? findTrim() : null;
  trim?.(0);
}

function findTrim(): ((pad: number) => number) | null {
  try {
    const koffi = require('koffi') as typeof import('koffi');
    return koffi.load(null).func('int malloc_trim(size_t pad)');
  } catch {
    return null;
  }
}
