/** tfjs on WebGPU: any maker's card, through Dawn, which gives Node the `navigator.gpu` that tfjs's backend needs. */
import { createRequire } from 'node:module';
import { TandemError } from '../../errors.js';
import type { Card } from '../../machine/cards/card.js';
import { knownCards } from '../../machine/cards/cards.js';
import { type AdapterInfo, placementOf } from '../webgpu-adapter.js';
import { setupRemedy } from './installed.js';
import type { Tfjs } from './native.js';
import type { Opened } from './opened.js';

/** The used part of the WebGPU standard; the packages and their types may be absent. */
interface Dawn {
  readonly globals: object;
  create(flags: readonly string[]): Gpu;
}
interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<{ readonly info: AdapterInfo } | null>;
}
interface GpuDevice {
  pushErrorScope(filter: 'out-of-memory' | 'validation' | 'internal'): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
}

const require = createRequire(import.meta.url);
/** In a variable, so that the compiler does not require the optional package. */
const DAWN: string = 'webgpu';

/** Throws TANDEM_ENGINE_MISSING, TANDEM_DEVICE_MISSING. */
export async function openWebgpu(card: number): Promise<Opened> {
  const name = adapterOf(card);
  const gpu = await offerGpu(name === null ? [] : [`adapter=${name}`]);
  // The same request as the backend's own, which does not report the adapter's name.
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) {
    throw new TandemError(
      'TANDEM_DEVICE_MISSING',
      `WebGPU finds no card${name === null ? '' : ` with the name "${name}"`}`,
      {
        remedy: 'install the driver of the card with Vulkan (libvulkan1), or use --stage cpu',
      },
    );
  }
  const tf = await openBackend();
  const { device } = tf.backend() as unknown as { device: GpuDevice };
  return { tf, ...placementOf(adapter.info), watch: (work) => watched(device, work) };
}

/**
 * The name by which Dawn is asked for a card; `null` for the first, which is left to Dawn. Vulkan and NVIDIA's driver give a card the same
 * name; of other makers only the maker is in both names. Throws TANDEM_DEVICE_MISSING.
 */
function adapterOf(index: number, cards = knownCards()): string | null {
  if (index === 0) return null;
  const wordOf = ({ maker, name }: Card) => (maker === 'NVIDIA' ? name : maker);
  const card = cards[index];
  if (!card) {
    throw new TandemError('TANDEM_DEVICE_MISSING', `there is no card gpu:${index}`, {
      remedy: 'tandem doctor lists the cards; --stage gpu leaves the choice to WebGPU',
    });
  }
  if (cards.filter((each) => wordOf(each) === wordOf(card)).length > 1) {
    throw new TandemError('TANDEM_DEVICE_MISSING', `WebGPU cannot tell apart the cards named ${wordOf(card)}`, {
      remedy: 'use --stage gpu, or provider=tensorflow-gpu, which goes by number',
    });
  }
  return wordOf(card);
}

async function offerGpu(flags: readonly string[]): Promise<Gpu> {
  try {
    const { create, globals } = (await import(DAWN)) as Dawn;
    const gpu = create(flags);
    const scope = globalThis as { navigator?: object };
    // Node has a navigator since 21, without a gpu.
    const navigator = Object.defineProperty(scope.navigator ?? {}, 'gpu', { value: gpu, configurable: true });
    Object.defineProperty(Object.assign(scope, globals), 'navigator', { value: navigator, configurable: true });
    return gpu;
  } catch (cause) {
    throw missing(cause);
  }
}

async function openBackend(): Promise<Tfjs> {
  try {
    const tf: Tfjs = require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-webgpu');
    if (!(await tf.setBackend('webgpu'))) throw new Error('the backend does not start');
    tf.enableProdMode();
    return tf;
  } catch (cause) {
    throw missing(cause);
  }
}

function missing(cause: unknown): TandemError {
  return new TandemError('TANDEM_ENGINE_MISSING', `tfjs cannot use WebGPU here: ${firstLine(cause)}`, {
    remedy: setupRemedy('webgpu'),
    cause,
  });
}

/** WebGPU throws nothing if a card has no memory left or refuses an op: it reports the error separately, and the results are zeros. */
async function watched<T>(device: GpuDevice, work: () => Promise<T>): Promise<T> {
  const scopes = ['internal', 'validation', 'out-of-memory'] as const;
  for (const scope of scopes) device.pushErrorScope(scope);
  const done = await work().then(
    (value) => () => value,
    (error) => () => {
      throw error;
    },
  );
  const [memory, ...others] = await Promise.all(scopes.map(() => device.popErrorScope()));
  if (memory) {
    throw new TandemError('TANDEM_OUT_OF_MEMORY', `the card has no memory left: ${memory.message}`, {
      remedy: 'use a smaller --micro-batch, or give the stage fewer layers',
    });
  }
  const error = others.find((each) => each !== null);
  if (error) throw new TandemError('TANDEM_ENGINE_FAILED', `WebGPU refused an op: ${error.message}`);
  return done();
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0]!.trim();
}
