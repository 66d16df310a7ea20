/** Tries tfjs with one provider on a product of two small matrices. */
import { createRequire } from 'node:module';
import type { EngineFacts } from '../entry.js';
import { deviceOf, restoreUtil, type Tfjs } from './native.js';
import { openProvider } from './provider.js';

/** As `EngineEntry.probe`. With a folder, the package there is loaded directly, so that its own error message is reported. */
export async function probe(provider: string, packageFolder: string | undefined): Promise<EngineFacts> {
  // Read when the library is loaded; its log lines would be taken for the reason of a failure.
  Object.assign(process.env, { TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true' });
  const opened = packageFolder ? null : await openProvider(provider);
  const tf = opened?.tf ?? openPackage(packageFolder!);
  const square = tf.matMul(tf.tensor2d([2, 0, 0, 2], [2, 2]), tf.tensor2d([2, 0, 0, 2], [2, 2]));
  const values = await square.data();
  if (values[0] !== 4 || values[1] !== 0) throw new Error('computed a wrong answer');
  const { ranOn, deviceName } = opened ?? deviceOf(tf);
  const { binding } = tf.backend() as unknown as { binding?: { TF_Version: string } };
  const version = binding?.TF_Version ?? tf.version_core;
  return { version, device: ranOn === 'gpu' ? 'GPU' : 'CPU', deviceName };
}

function openPackage(folder: string): Tfjs {
  restoreUtil();
  return createRequire(import.meta.url)(folder);
}
