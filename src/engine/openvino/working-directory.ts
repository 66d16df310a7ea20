/** A working directory of this thread alone: OpenVINO resolves external data of a model in memory against it, and takes no other folder. */
import { createRequire } from 'node:module';
import { TandemError } from '../../errors.js';

const require = createRequire(import.meta.url);

/** sched.h: this thread gets a working directory of its own. */
const CLONE_FS = 0x200;

interface Calls {
  readonly unshare: (flags: number) => number;
  readonly chdir: (path: string) => number;
}

let calls: Calls | undefined;

function systemCalls(): Calls {
  if (!calls) {
    const library = (require('koffi') as typeof import('koffi')).load(null);
    calls = {
      unshare: library.func('int unshare(int flags)') as Calls['unshare'],
      chdir: library.func('int chdir(const char *path)') as Calls['chdir'],
    };
    calls.unshare(CLONE_FS);
  }
  return calls;
}

/** Runs `work`, which must not wait for anything, with `folder` as this thread's working directory. Throws TANDEM_MODEL_MISSING. */
export function inFolder<T>(folder: string, work: () => T): T {
  const { chdir } = systemCalls();
  const before = process.cwd();
  if (chdir(folder) !== 0) throw new TandemError('TANDEM_MODEL_MISSING', `the folder ${folder} cannot be entered`);
  try {
    return work();
  } finally {
    chdir(before);
  }
}
