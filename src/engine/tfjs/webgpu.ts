/** tfjs on WebGPU: any maker's card, through Dawn, which gives Node the `navigator.gpu` that tfjs's backend asks for. */
import { createRequire } from 'node:module';
import { TandemError } from '../../errors.js';
import type { Tfjs } from './native.js';
import type { Opened } from './provider.js';

/** Of the WebGPU standard, what is used here; the packages may be absent, and their types with them. */
interface Dawn {
  readonly globals: object;
  create(flags: readonly string[]): Gpu;
}
interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<{ readonly info: AdapterInfo } | null>;
}
export interface AdapterInfo {
  readonly vendor: string;
  readonly device: string;
  readonly description: string;
  /** Whether it is made of software. */
  readonly isFallbackAdapter: boolean;
}
interface GpuDevice {
  pushErrorScope(filter: 'out-of-memory' | 'validation' | 'internal'): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
}

const require = createRequire(import.meta.url);
/** Under a name, so that the compiler does not look for a package that need not be there. */
const DAWN: string = 'webgpu';

/** Throws TANDEM_ENGINE_MISSING, TANDEM_DEVICE_MISSING. */
export async function openWebgpu(): Promise<Opened> {
  const gpu = await offerGpu();
  // The same wish as the backend's own, which takes the adapter and does not tell its name.
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new TandemError('TANDEM_DEVICE_MISSING', 'WebGPU finds no card', {
      remedy: 'install the driver of the card with Vulkan (libvulkan1), or use --stage cpu',
    });
  }
  const tf = await openBackend();
  const { device } = tf.backend() as unknown as { device: GpuDevice };
  return { tf, ...placeOf(adapter.info), watch: (work) => watched(device, work) };
}

async function offerGpu(): Promise<Gpu> {
  try {
    const { create, globals } = (await import(DAWN)) as Dawn;
    const gpu = create([]);
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
    remedy: 'npm install --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2',
    cause,
  });
}

/** What the adapter says of itself. Its device is a card's name in lower case with dashes, its description the driver's. */
export function placeOf({ vendor, device, description, isFallbackAdapter }: AdapterInfo): {
  ranOn: 'cpu' | 'gpu';
  deviceName: string;
} {
  const name = device.replaceAll('-', ' ').trim() || vendor || 'an adapter without a name';
  const told = description === '' ? name : `${name} (${description})`;
  if (isFallbackAdapter) return { ranOn: 'cpu', deviceName: `${told}, a card made of software` };
  return { ranOn: 'gpu', deviceName: `${told}, through WebGPU` };
}

/** WebGPU throws nothing when a card has no memory left or refuses an op: it reports it beside, and the results are zeros. */
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
