/** The order in which CUDA counts cards: by default the fastest is first; here it is that of the PCI bus, as everywhere in tandem. */
import { isMainThread } from 'node:worker_threads';
import { cLibrary } from '../../arena/c-library.js';

const VARIABLE = 'CUDA_DEVICE_ORDER';

/** Must be called before this process loads CUDA's library, which reads the variable once. A value set by the user stays. */
export function orderCardsByBus(): void {
  if (process.env[VARIABLE]) return;
  process.env[VARIABLE] = 'PCI_BUS_ID';
  // A worker thread has a copy of the environment, which native code does not see.
  if (!isMainThread && process.platform !== 'win32') cLibrary().setenv(VARIABLE, 'PCI_BUS_ID', 1);
}
