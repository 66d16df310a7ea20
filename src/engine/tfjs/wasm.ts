/** tfjs on WebAssembly: needs packages of npm alone, on one thread and many times slower than TensorFlow. */
import { createRequire } from 'node:module';
import { TandemError } from '../../errors.js';
import { processorName } from '../../machine/processor.js';
import { setupRemedy } from './installed.js';
import type { Tfjs } from './native.js';
import type { Opened } from './opened.js';

const require = createRequire(import.meta.url);

/** Throws TANDEM_ENGINE_MISSING. */
export async function openWasm(): Promise<Opened> {
  try {
    const tf: Tfjs = require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-wasm');
    if (!(await tf.setBackend('wasm'))) throw new Error('the backend does not start');
    tf.enableProdMode();
    return {
      tf,
      ranOn: 'cpu',
      deviceName: `${processorName()}, through WebAssembly on one thread`,
      watch: (work) => work(),
    };
  } catch (cause) {
    throw new TandemError(
      'TANDEM_ENGINE_MISSING',
      `tfjs cannot use WebAssembly here: ${(cause as Error).message.split('\n', 1)[0]}`,
      {
        remedy: setupRemedy('wasm'),
        cause,
      },
    );
  }
}
