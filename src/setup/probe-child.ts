/** Runs in a process of its own: loads one engine with one provider, computes one small thing with it, tells its parent, and ends. */
import { createRequire } from 'node:module';
import { onCard, onCpu } from '../engine/onnxruntime/placement.js';
import { openOrt, openSession } from '../engine/onnxruntime/session.js';
import { deviceOf, restoreUtil, type Tfjs } from '../engine/tfjs/native.js';
import { openProvider } from '../engine/tfjs/provider.js';
import type { EngineFacts } from './probe.js';

/** ONNX model of one node, y = Identity(x), float32 [2]. */
const IDENTITY = 'CAg6PgoQCgF4EgF5IghJZGVudGl0eRIIaWRlbnRpdHlaDwoBeBIKCggIARIECgIIAmIPCgF5EgoKCAgBEgQKAggCQgQKABAN';

async function probeOnnxruntime(provider: string): Promise<EngineFacts> {
  const ort = await openOrt();
  const bytes = Buffer.from(IDENTITY, 'base64');
  const session = await openSession({ bytes, folder: '.', engine: { provider, threads: 1 } });
  const { y } = await session.run({ x: new ort.Tensor('float32', [1, 2], [2]) });
  if ((y?.data as Float32Array | undefined)?.[1] !== 2) throw new Error('computed a wrong answer');
  const { ranOn, deviceName } = provider === 'cpu' ? onCpu() : onCard(provider, null);
  return {
    version: ort.env.versions.node ?? ort.env.versions.common,
    device: ranOn === 'gpu' ? 'GPU' : 'CPU',
    deviceName,
  };
}

async function probeTfjs(provider: string, packageFolder: string | undefined): Promise<EngineFacts> {
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

const [, , engine, provider, packageFolder] = process.argv as [string, string, string, string, string?];
try {
  process.send!({ facts: await (engine === 'tfjs' ? probeTfjs(provider, packageFolder) : probeOnnxruntime(provider)) });
} catch (error) {
  process.send!({ fault: (error as Error).message });
}
process.disconnect();
