/** tfjs with one of its backends open. */
import type { Tfjs } from './native.js';

/** tfjs, and the device that its backend reports. */
export interface Opened {
  readonly tf: Tfjs;
  readonly ranOn: string;
  readonly deviceName: string;
  /** Runs `work`, and throws errors that the device reports separately. */
  readonly watch: <T>(work: () => Promise<T>) => Promise<T>;
}
