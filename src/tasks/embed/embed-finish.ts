/** Turns a model's outputs into embeddings. */
import { TandemError } from '../../errors.js';
import type { ModelGraph } from '../../model/graph.js';
import type { Finish, RaggedRow } from '../../rows/ragged-source.js';
import { allocate, type Tensor } from '../../tensor.js';
import type { Module } from '../model-folder/modules.js';
import { numbersOf } from '../numbers-of.js';
import { tokensOf } from '../texts/tokens-of.js';
import { embeddingOf, normalise } from './after-model.js';

/** The name of the output. */
export const EMBEDDING = 'embedding';

export interface EmbedSettings {
  readonly modules: readonly Module[];
  /** Tokens of the prompt, with those in front of it. */
  readonly promptTokens: number;
  /** The place of the attention mask among the fed inputs; `null` without one. */
  readonly mask: number | null;
}

/** The output of the model that is taken, and whether it is pooled already. */
export interface EmbeddingOutput {
  readonly name: string;
  readonly pooled: boolean;
}

/** Names that exporters give, the best first. */
const POOLED = ['sentence_embedding'];
const TOKENS = ['last_hidden_state', 'token_embeddings', 'hidden_states'];

/** Throws TANDEM_MODEL_UNSUPPORTED where no output is known for embeddings. */
export function embeddingOutput({
  outputs,
  outputNames,
}: Pick<ModelGraph, 'outputs' | 'outputNames'>): EmbeddingOutput {
  const names = outputs.map((name) => outputNames?.get(name) ?? name);
  const pooled = names.find((name) => POOLED.includes(name));
  if (pooled !== undefined) return { name: pooled, pooled: true };
  const tokens = TOKENS.find((name) => names.includes(name)) ?? (names.length === 1 ? names[0] : undefined);
  if (tokens !== undefined && tokens !== 'logits') return { name: tokens, pooled: false };
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the model returns ${names.join(', ')}; embeddings are made of ${[...POOLED, ...TOKENS].join(', ')}`,
    {
      remedy:
        'export the model for feature extraction: optimum-cli export onnx --task feature-extraction --model MODEL OUT',
    },
  );
}

/** Keeps the embedding of each row of the model, whole: (rows, numbers). */
export function embedFinish(output: EmbeddingOutput, settings: EmbedSettings): Finish {
  return (outputs, rows) => {
    const tensor = outputs.get(output.name)!;
    const embeddings = rows.map((row, n) => rowEmbedding(tensor, n, row, output, settings));
    const shape = [rows.length, embeddings[0]?.length ?? widthOf(tensor, settings)];
    const data = allocate('float32', shape) as Float32Array;
    for (const [n, embedding] of embeddings.entries()) data.set(embedding, n * embedding.length);
    return new Map<string, Tensor>([[EMBEDDING, { dtype: 'float32', shape, data }]]);
  };
}

/** Numbers of an embedding, where there is none. */
function widthOf({ shape }: Tensor, { modules }: EmbedSettings): number {
  const [, second = 0, width] = shape;
  if (width === undefined) return second;
  return embeddingOf({ values: new Float32Array(width), tokens: 1, width }, modules, 0).length;
}

function rowEmbedding(
  { dtype, shape, data }: Tensor,
  n: number,
  row: RaggedRow,
  { pooled, name }: EmbeddingOutput,
  { modules, promptTokens, mask }: EmbedSettings,
): Float64Array {
  const [, second = 0, third] = shape;
  // Some exports return (rows, numbers) under the name of the tokens' embeddings.
  if (pooled || third === undefined) {
    if (shape.length !== 2) throw odd(name, shape);
    const embedding = Float64Array.from(numbersOf(data.subarray(n * second, (n + 1) * second), dtype));
    // The file has pooled, and so it has done all that modules.json asks for; to normalise twice changes nothing.
    return modules.some(({ kind }) => kind === 'normalize') ? normalise(embedding) : embedding;
  }
  const tokens = tokensOf(row, mask);
  const values = numbersOf(data.subarray(n * second * third, (n * second + tokens) * third), dtype);
  return embeddingOf({ values, tokens, width: third }, modules, promptTokens);
}

function odd(name: string, shape: readonly number[]): TandemError {
  return new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the output ${name} is [${shape.join(', ')}], not one vector a row`,
  );
}
