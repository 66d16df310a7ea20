/** The embeddings of records: the parts of a text are joined, then shortened, and converted to the requested type. */
import { TandemError } from '../../errors.js';
import type { RaggedRow } from '../../rows/ragged-source.js';
import { allocate, type Tensor } from '../../tensor.js';
import type { Module } from '../model-folder/modules.js';
import { settle } from '../settle.js';
import type { RecordRows, Task } from '../task.js';
import { embeddingAnswer } from '../texts/embedding-answer.js';
import { tokensOf } from '../texts/tokens-of.js';
import { normalise } from './after-model.js';
import { dtypeOf, type ElementType, elementsOf, encode } from './element-type.js';
import { EMBEDDING } from './embed-finish.js';

export interface SettleSettings {
  readonly modules: readonly Module[];
  readonly type: ElementType;
  /** The first numbers of each embedding that are kept. */
  readonly dims: number | null;
  /** The place of the attention mask among the fed inputs; `null` without one. */
  readonly mask: number | null;
  /** The model's name in answers to batch lines. */
  readonly model: string;
  /** Whether each part of a text has an embedding of its own: (parts, numbers) for each row. */
  readonly parts: boolean;
}

export function settleEmbeddings(settings: SettleSettings): Task['settle'] {
  const { type, dims } = settings;
  return (parts) => {
    const kept = parts.outputs.get(EMBEDDING);
    const width = kept?.shape[1] ?? 0;
    if (dims !== null && kept && dims > width) throw tooMany(dims, width);
    const values = (kept?.data ?? new Float32Array()) as Float32Array;
    const texts = new Texts(values, width, parts.read.good, settings);
    return settle(parts, (records) => {
      const size = elementsOf(type, kept ? (dims ?? width) : 0);
      const shape = [records.length, size];
      const data = allocate(dtypeOf(type), shape) as Uint8Array;
      const answers = new Map<number, string>();
      const perPart: Tensor[] = [];
      let nonFiniteRows = 0;
      for (const [n, record] of records.entries()) {
        const embeddings = record.texts.map((places) => texts.embedding(places));
        if (settings.parts) perPart.push(texts.parts(record.texts[0]!, size));
        else encode(texts.shortened(embeddings[0]!, dims), type, data.subarray(n * size, (n + 1) * size));
        if (!embeddings.every((embedding) => embedding.every(Number.isFinite))) nonFiniteRows += 1;
        if (record.batchLine) answers.set(record.index - parts.firstRow, texts.answer(record, embeddings));
      }
      const outputs = new Map<string, Tensor>(kept ? [[EMBEDDING, { dtype: dtypeOf(type), shape, data }]] : []);
      if (settings.parts)
        return { outputs: new Map(), ragged: new Map([[EMBEDDING, perPart]]), nonFiniteRows, answers };
      return { outputs, nonFiniteRows, answers };
    });
  };
}

class Texts {
  readonly #values: Float32Array;
  readonly #width: number;
  readonly #rows: readonly RaggedRow[];
  readonly #settings: SettleSettings;

  constructor(values: Float32Array, width: number, rows: readonly RaggedRow[], settings: SettleSettings) {
    this.#values = values;
    this.#width = width;
    this.#rows = rows;
    this.#settings = settings;
  }

  /** Of a text in several parts it is their mean, each weighted by its tokens, of length 1 where the model makes it so. */
  embedding(places: readonly number[]): Float64Array {
    const of = (place: number) => this.#values.subarray(place * this.#width, (place + 1) * this.#width);
    if (places.length === 1) return Float64Array.from(of(places[0]!));
    const sum = new Float64Array(this.#width);
    let tokens = 0;
    for (const place of places) {
      const weight = tokensOf(this.#rows[place]!, this.#settings.mask);
      tokens += weight;
      for (const [i, value] of of(place).entries()) sum[i]! += weight * value;
    }
    return this.#normalised(sum.map((value) => value / tokens));
  }

  /** The first numbers; of length 1 again where the whole one was made so. */
  shortened(embedding: Float64Array, dims: number | null): Float64Array {
    return dims === null || dims >= embedding.length ? embedding : this.#normalised(embedding.slice(0, dims));
  }

  /** (parts, size), in the order of the text. */
  parts(places: readonly number[], size: number): Tensor {
    const { type, dims } = this.#settings;
    const shape = [places.length, size];
    const data = allocate(dtypeOf(type), shape) as Uint8Array;
    for (const [n, place] of places.entries()) {
      encode(this.shortened(this.embedding([place]), dims), type, data.subarray(n * size, (n + 1) * size));
    }
    return { dtype: dtypeOf(type), shape, data };
  }

  answer(record: RecordRows, embeddings: readonly Float64Array[]): string {
    const { dims, model, mask } = this.#settings;
    const tokens = record.texts.flat().reduce((sum, place) => sum + tokensOf(this.#rows[place]!, mask), 0);
    const shorten = (embedding: Float64Array, wanted: number | null) => this.shortened(embedding, wanted ?? dims);
    return embeddingAnswer(record.record, { embeddings, tokens, model, shorten });
  }

  #normalised(embedding: Float64Array): Float64Array {
    return this.#settings.modules.at(-1)?.kind === 'normalize' ? normalise(embedding) : embedding;
  }
}

function tooMany(dims: number, width: number): TandemError {
  return new TandemError('TANDEM_USAGE', `--dims ${dims}: the embeddings have ${width} numbers`, {
    remedy: `give at most ${width}`,
  });
}
