/**
 * Images with transformers.js: its image processor, and the ONNX Runtime that comes with it. See ../images.ts.
 *
 *   node images.mjs MODEL_FOLDER FOLDER THREADS
 */
import { readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { AutoProcessor, env, RawImage } from '@huggingface/transformers';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [model, folder, threads] = process.argv.slice(2);
const BATCH = 8;
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(model));
const processor = await AutoProcessor.from_pretrained(basename(resolve(model)));
const options = { intraOpNumThreads: Number(threads), extra: { session: { intra_op: { allow_spinning: '0' } } } };
const session = await InferenceSession.create(join(model, 'model.onnx'), options);
const paths = readdirSync(folder).sort();
for (let at = 0; at < paths.length; at += BATCH) {
  const images = await Promise.all(paths.slice(at, at + BATCH).map((path) => RawImage.read(join(folder, path))));
  const { pixel_values: pixels } = await processor(images);
  await session.run({ [session.inputNames[0]]: new Tensor('float32', pixels.data, pixels.dims) });
}
