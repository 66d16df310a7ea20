/** Tries ONNX Runtime with one provider on a convolution, a product and a softmax: the three that need libraries of their own on a card. */
import type { EngineFacts } from '../entry.js';
import { onCard, onCpu } from './placement.js';
import { PROBE_MODEL, requireAnswer } from './probe-model.js';
import { openOrt, openSession, ortError } from './session.js';

/** As `EngineEntry.probe`. */
export async function probe(provider: string): Promise<EngineFacts> {
  const ort = await openOrt();
  const bytes = Buffer.from(PROBE_MODEL, 'base64');
  const session = await openSession({ bytes, folder: '.', engine: { provider, threads: 1 } });
  const x = new ort.Tensor('float32', new Float32Array(16).fill(1), [1, 1, 4, 4]);
  const { y } = await session.run({ x }).catch((cause) => {
    throw ortError(cause, 'TANDEM_ENGINE_FAILED', provider);
  });
  requireAnswer(y?.data as Float32Array | undefined);
  const { ranOn, deviceName } = provider === 'cpu' ? onCpu() : onCard(provider, null);
  return {
    version: ort.env.versions.node ?? ort.env.versions.common,
    device: ranOn === 'gpu' ? 'GPU' : 'CPU',
    deviceName,
  };
}
