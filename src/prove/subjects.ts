/** The two models that cards are tried with, BERT and ResNet with seeded weights, and their rows; made in the folder of the proof. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { weightBytes } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { npyHeader } from '../rows/npy/npy-header.js';
import { bytesOf, type DType } from '../tensor.js';
import type { Graph } from './models/graph.js';
import { writeModel } from './models/model-file.js';
import { resnet } from './models/resnet.js';
import { seeded, seededValues } from './models/seeded.js';
import { BERT_BASE, bert, type TransformerShape } from './models/transformer.js';

export type Size = 'base' | 'small' | 'tiny';
export type Name = 'BERT' | 'ResNet';

interface Shape {
  readonly bert: TransformerShape;
  readonly tokens: number;
  /** Pixels of a side. */
  readonly side: number;
  /** Channels and blocks of ResNet's stages; left out for those of ResNet-50. */
  readonly stages?: readonly (readonly [number, number])[];
}

/** The full models for cards, smaller ones for what a software adapter and a slow machine can do in the time. */
export const SIZES: Record<Size, Shape> = {
  base: { bert: BERT_BASE, tokens: 128, side: 224 },
  small: {
    bert: { ...BERT_BASE, layers: 6, hidden: 256, heads: 4, ffn: 1024, vocabulary: 2000, positions: 64 },
    tokens: 64,
    side: 64,
  },
  tiny: {
    bert: { ...BERT_BASE, layers: 3, hidden: 32, heads: 4, ffn: 64, vocabulary: 200, positions: 32 },
    tokens: 8,
    side: 32,
    stages: [
      [8, 1],
      [16, 1],
    ],
  },
};

/** The output that is compared, and the one that long runs keep, which is small. */
export const OUTPUTS = { BERT: 'last_hidden_state', ResNet: 'logits', small: 'pooler_output' } as const;

export class Subjects {
  readonly size: Size;
  readonly #folder: string;
  readonly #made = new Set<string>();

  constructor(folder: string, size: Size) {
    this.#folder = folder;
    this.size = size;
  }

  /** The model's file, made on first use. */
  model(name: Name): string {
    const file = join(this.#folder, `${name}-${this.size}`, 'model.onnx');
    if (this.#isNew(file)) {
      mkdirSync(join(file, '..'), { recursive: true });
      writeModel(file, this.#graph(name), { external: true });
    }
    return file;
  }

  #graph(name: Name): Graph {
    const { bert: shape, side, stages } = SIZES[this.size];
    return name === 'BERT' ? bert(shape) : resnet(side, 1, stages);
  }

  async weights(name: Name): Promise<number> {
    const graph = await openModel(this.model(name));
    return weightBytes(graph, 0, graph.ops.length);
  }

  /** Flags with files of so many rows. */
  rows(name: Name, rows: number): string[] {
    const { tokens, side, bert: shape } = SIZES[this.size];
    if (name === 'ResNet') return ['-i', this.#file('pixels', 'float32', [3, side, side], rows, 1)];
    const ids = this.#file('ids', 'int64', [tokens], rows, shape.vocabulary);
    const mask = this.#file('mask', 'int64', [tokens], rows, null);
    return ['-i', `input_ids=${ids}`, '-i', `attention_mask=${mask}`];
  }

  /** Rows of ResNet as the header and the rows of an NPY file. */
  stream(rows: number): { readonly header: Buffer; readonly rows: Buffer } {
    const { side } = SIZES[this.size];
    const row = [3, side, side];
    const values = seededValues('float32', [rows, ...row], 1, seeded(3));
    return { header: Buffer.from(npyHeader('float32', row, rows)), rows: Buffer.from(bytesOf(values)) };
  }

  /** `top`: values below it; `null` for ones. */
  #file(name: string, dtype: DType, row: readonly number[], rows: number, top: number | null): string {
    const file = join(this.#folder, `${name}-${this.size}-${rows}.npy`);
    if (!this.#isNew(file)) return file;
    const values = seededValues(dtype, [rows, ...row], top ?? 1, seeded(2));
    if (top === null) (values as BigInt64Array).fill(1n);
    writeFileSync(file, Buffer.concat([npyHeader(dtype, row, rows), bytesOf(values)]));
    return file;
  }

  #isNew(file: string): boolean {
    const isNew = !this.#made.has(file);
    this.#made.add(file);
    return isNew;
  }
}
