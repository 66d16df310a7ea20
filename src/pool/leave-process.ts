/** Ends this process, whatever its threads do. */
import { cLibrary } from '../arena/c-library.js';

/** Exits at once, without waiting for threads in native code; with this exit status if `_exit` can be called. */
export function leaveProcess(exitCode: number): never {
  try {
    cLibrary()._exit(exitCode);
  } catch {
    // `_exit` cannot be called here.
  }
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}
