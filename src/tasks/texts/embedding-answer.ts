/** The body of the answer to a line of an OpenAI batch file that asks for embeddings. */
import type { RowRecord } from '../../rows/record-source.js';
import { modelAndUsage, shortest } from './answer-body.js';
import { bodyOf } from './batch-request.js';

export interface AnswerParts {
  /** Of each of its texts, whole. */
  readonly embeddings: readonly Float64Array[];
  /** Of all its texts, special ones included. */
  readonly tokens: number;
  /** The model's name where the line gives none. */
  readonly model: string;
  /** The first numbers of an embedding; `null` for as many as the job gives. */
  readonly shorten: (embedding: Float64Array, dims: number | null) => Float64Array;
}

/** As JSON text. The same line gives the same text. */
export function embeddingAnswer(record: RowRecord, { embeddings, tokens, model, shorten }: AnswerParts): string {
  const body = bodyOf(record);
  const data = embeddings.map((embedding, index) => {
    const values = Float32Array.from(shorten(embedding, (body.dimensions as number | undefined) ?? null));
    const isBase64 = body.encoding_format === 'base64';
    return { object: 'embedding', index, embedding: isBase64 ? base64Of(values) : Array.from(values, shortest) };
  });
  return JSON.stringify({ object: 'list', data, ...modelAndUsage(record, model, tokens) });
}

/** Little-endian 32-bit floats. */
function base64Of(values: Float32Array): string {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [n, value] of values.entries()) bytes.writeFloatLE(value, n * 4);
  return bytes.toString('base64');
}
