/** Tries OpenVINO with one provider on the same small model as ONNX Runtime: a convolution, a product and a softmax. */
import type { EngineFacts } from '../entry.js';
import { PROBE_MODEL, requireAnswer } from '../onnxruntime/probe-model.js';
import { compile, libraryVersion } from './core.js';
import { check, type Handle, made } from './library.js';

/** As `EngineEntry.probe`. */
export async function probe(provider: string): Promise<EngineFacts> {
  const bytes = Buffer.from(PROBE_MODEL, 'base64');
  const { library, handle, ranOn, deviceName } = compile({ bytes, folder: '/', engine: { provider, threads: 1 } });
  const request = made<Handle>(library, (out) => library.createRequest(handle, out));
  const input = new Float32Array(16).fill(1);
  const shape = { rank: 4, dims: BigInt64Array.of(1n, 1n, 4n, 4n) };
  const tensor = made<Handle>(library, (out) => library.tensorOver(4, shape, input, out));
  check(library, library.setInput(request, 0, tensor));
  check(library, library.infer(request));
  const output = made<Handle>(library, (out) => library.output(request, 0, out));
  const address = made<Handle>(library, (out) => library.tensorData(output, out));
  requireAnswer(new Float32Array(library.koffi.view(address, 16)));
  return { version: libraryVersion(), device: ranOn === 'gpu' ? 'GPU' : 'CPU', deviceName };
}
