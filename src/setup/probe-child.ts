/** Runs in a process of its own: loads one engine, computes one small thing with it, tells its parent, and ends. */
import { createRequire } from 'node:module';
import { deviceOf, restoreUtil, type Tfjs } from '../engine/tfjs/native.js';
import type { EngineFacts } from './probe.js';

const require = createRequire(import.meta.url);

/** ONNX model of one node, y = Identity(x), float32 [2]. */
const IDENTITY = 'CAg6PgoQCgF4EgF5IghJZGVudGl0eRIIaWRlbnRpdHlaDwoBeBIKCggIARIECgIIAmIPCgF5EgoKCAgBEgQKAggCQgQKABAN';

async function probeOnnxruntime(path: string): Promise<EngineFacts> {
  const ort = require(path) as typeof import('onnxruntime-node');
  const session = await ort.InferenceSession.create(Buffer.from(IDENTITY, 'base64'), { executionProviders: ['cpu'] });
  const { y } = await session.run({ x: new ort.Tensor('float32', [1, 2], [2]) });
  if ((y?.data as Float32Array | undefined)?.[1] !== 2) throw new Error('computed a wrong answer');
  return {
    version: ort.env.versions.node ?? ort.env.versions.common,
    // Others are known to this build, but their libraries do not come with the npm package.
    providers: ort.listSupportedBackends().flatMap(({ name, bundled }) => (bundled ? [name] : [])),
    device: 'CPU',
  };
}

async function probeTensorflow(path: string): Promise<EngineFacts> {
  restoreUtil();
  const tf: Tfjs = require(path);
  const square = tf.matMul(tf.tensor2d([2, 0, 0, 2], [2, 2]), tf.tensor2d([2, 0, 0, 2], [2, 2]));
  const values = await square.data();
  if (values[0] !== 4 || values[1] !== 0) throw new Error('computed a wrong answer');
  const { binding } = tf.backend() as unknown as { binding: { TF_Version: string } };
  const onGpu = deviceOf(tf).ranOn === 'gpu';
  return {
    version: binding.TF_Version,
    providers: [onGpu ? 'tensorflow-gpu' : 'tensorflow'],
    device: onGpu ? 'GPU' : 'CPU',
  };
}

const [, , engine, path] = process.argv as [string, string, string, string];
try {
  process.send!({ facts: await (engine === 'onnxruntime' ? probeOnnxruntime(path) : probeTensorflow(path)) });
} catch (error) {
  process.send!({ fault: (error as Error).message });
}
process.disconnect();
