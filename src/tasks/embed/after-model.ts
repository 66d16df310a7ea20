/** What follows the model, text by text: pooling, dense layers, normalisation, in the order of modules.json. */
import { ACTIVATIONS, type DenseLayer } from '../model-folder/dense.js';
import type { Module } from '../model-folder/modules.js';
import { pool, type TokenEmbeddings } from './pool.js';

/** The embedding of a text, of the model's token embeddings. `skipped`: tokens of a prompt that is not to count. */
export function embeddingOf(tokens: TokenEmbeddings, modules: readonly Module[], skipped: number): Float64Array {
  let embedding: Float64Array | null = null;
  for (const module of modules) {
    if (module.kind === 'pooling') {
      embedding = pool(tokens, module.pooling, module.pooling.includePrompt ? 0 : skipped);
    } else if (embedding !== null) {
      embedding = module.kind === 'dense' ? dense(module.dense, embedding) : normalise(embedding);
    }
  }
  return embedding!;
}

function dense({ from, to, weight, bias, activation }: DenseLayer, x: Float64Array): Float64Array {
  const act = ACTIVATIONS[activation];
  return Float64Array.from({ length: to }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let i = 0; i < from; i++) sum += weight[row * from + i]! * x[i]!;
    return act(sum);
  });
}

/** To length 1; zeros stay. The least length is that of torch.nn.functional.normalize. */
export function normalise(x: Float64Array): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const length = Math.max(Math.sqrt(squares), 1e-12);
  return x.map((value) => value / length);
}
