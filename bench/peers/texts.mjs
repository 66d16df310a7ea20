/**
 * Embeddings of texts with transformers.js, in batches of 32. See ../texts.ts.
 *
 *   node texts.mjs MODEL_FOLDER TEXTS.json THREADS
 *
 * The model is in onnx/model.onnx of its folder. The last line printed is JSON: the peak resident size in bytes.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { env, pipeline } from '@huggingface/transformers';

const [model, texts, threads] = process.argv.slice(2);
const BATCH = 32;
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(model));
const options = { intraOpNumThreads: Number(threads), extra: { session: { intra_op: { allow_spinning: '0' } } } };
const embed = await pipeline('feature-extraction', basename(resolve(model)), {
  dtype: 'fp32',
  session_options: options,
});
const all = JSON.parse(readFileSync(texts, 'utf8'));
for (let at = 0; at < all.length; at += BATCH) {
  await embed(all.slice(at, at + BATCH), { pooling: 'mean', normalize: true });
}
console.log(JSON.stringify({ peak: process.resourceUsage().maxRSS * 1024, padding: null }));
