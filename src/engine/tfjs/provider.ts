/** tfjs with a provider's backend, opened on first use: TensorFlow's packages, WebGPU, WebAssembly. */
import { TandemError } from '../../errors.js';
import { deviceOf, openTfjs } from './native.js';
import type { Opened } from './opened.js';
import { openWasm } from './wasm.js';
import { openWebgpu } from './webgpu.js';

const BACKENDS: Record<string, (card: number) => Promise<Opened>> = { webgpu: openWebgpu, wasm: openWasm };

/** tfjs computes with one backend at a time, and a thread has one tfjs. */
let inThisThread: { readonly provider: string; readonly opening: Promise<Opened> } | undefined;

/** Throws TANDEM_ENGINE_MISSING, TANDEM_ENGINE_FAILED, TANDEM_DEVICE_MISSING, TANDEM_USAGE. */
export async function openProvider(provider: string, card = 0): Promise<Opened> {
  if (inThisThread && inThisThread.provider !== provider) {
    throw new TandemError(
      'TANDEM_ENGINE_FAILED',
      `this thread's tfjs computes with ${inThisThread.provider} already, not with ${provider}`,
      { remedy: 'give each provider a stage of its own' },
    );
  }
  inThisThread ??= { provider, opening: (BACKENDS[provider] ?? openNative(provider))(card) };
  try {
    return await inThisThread.opening;
  } catch (error) {
    inThisThread = undefined;
    throw error;
  }
}

function openNative(provider: string): () => Promise<Opened> {
  return async () => {
    const tf = openTfjs(provider);
    return { tf, ...deviceOf(tf), watch: (work) => work() };
  };
}
