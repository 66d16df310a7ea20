/** Turns ONNX Runtime's telemetry off: by default the library keeps files in the user's cache and sends reports to its maker. */
import { isMainThread } from 'node:worker_threads';
import { cLibrary } from '../../arena/c-library.js';
import { isNode } from '../../runtime.js';

/** Read once, when the library is loaded. Not on Windows, where it reports to the system only (onnxruntime pull request 27379). */
const VARIABLE = 'ORT_DISABLE_TELEMETRY';

/**
 * Must be called before this process loads the library, and before it starts a process that does. A value set by the user stays,
 * also for telemetry.
 */
export function turnTelemetryOff(): void {
  if (process.env[VARIABLE]) return;
  process.env[VARIABLE] = '1';
  // A worker thread has a copy of the environment, which native code does not see; Bun's main thread too.
  if ((!isMainThread || !isNode()) && process.platform !== 'win32') cLibrary().setenv(VARIABLE, '1', 1);
}
