/** Writes seeded ONNX models for tests and measurements: `node dist/scripts/make-onnx.js NAME FOLDER [--layers N …]`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Graph } from './make-onnx/graph.js';
import { type LocalFunction, type ModelOptions, writeModel } from './make-onnx/model-file.js';
import { int4, qdq } from './make-onnx/quantised.js';
import { resnet50 } from './make-onnx/resnet.js';
import {
  callers,
  cnn,
  controlFlow,
  innerStrings,
  mlp,
  oddWeights,
  sequences,
  strings,
  twoInTwoOut,
} from './make-onnx/small-models.js';
import { BERT_BASE, bert, type TransformerShape } from './make-onnx/transformer.js';

export type MakeOptions = Partial<TransformerShape> & ModelOptions & { readonly seed?: number };

/** A transformer small enough for a test. */
const TINY: TransformerShape = {
  ...BERT_BASE,
  layers: 3,
  hidden: 32,
  heads: 4,
  ffn: 64,
  vocabulary: 100,
  positions: 32,
};

type Made = Graph | { readonly graph: Graph; readonly functions: readonly LocalFunction[] };

/** Every model that can be made. */
export const ONNX_MODELS: Record<string, (options: MakeOptions) => Made> = {
  mlp: ({ layers, hidden, seed }) => mlp(layers, hidden, seed),
  cnn: ({ layers, hidden, seed }) => cnn(layers, hidden, seed),
  'two-in-two-out': ({ seed }) => twoInTwoOut(seed),
  'control-flow': ({ seed }) => controlFlow(seed),
  sequences: ({ seed }) => sequences(seed),
  strings: () => strings(),
  'inner-strings': () => innerStrings(),
  'odd-weights': ({ seed }) => oddWeights(seed),
  functions: ({ seed }) => callers(seed),
  qdq: ({ layers, seed }) => qdq(layers, seed),
  int4: ({ layers, seed }) => int4(layers, seed),
  transformer: ({ seed, ...shape }) => bert({ ...TINY, ...given(shape) }, seed),
  'resnet-50': ({ seed }) => resnet50(224, seed),
  bert: ({ seed, ...shape }) => bert({ ...BERT_BASE, ...given(shape) }, seed),
};

/** Writes `folder/model.onnx` (and `model.onnx_data` where weights lie outside) and gives its path. BERT's weights lie outside unless told otherwise. */
export function makeOnnx(name: string, folder: string, options: MakeOptions = {}): string {
  const make = Object.hasOwn(ONNX_MODELS, name) ? ONNX_MODELS[name] : undefined;
  if (!make) throw new Error(`no model "${name}"; there are ${Object.keys(ONNX_MODELS).join(', ')}`);
  mkdirSync(folder, { recursive: true });
  const made = make(options);
  const { graph, functions = [] } = made instanceof Graph ? { graph: made } : made;
  return writeModel(join(folder, 'model.onnx'), graph, { external: name === 'bert', functions, ...options });
}

function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

function main(): void {
  const number = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      layers: number,
      hidden: number,
      heads: number,
      ffn: number,
      seed: number,
      vocabulary: number,
      positions: number,
      dtype: { type: 'string' },
      external: { type: 'boolean' },
    },
  });
  const [name, folder] = positionals;
  if (!name || !folder) {
    process.stderr.write(
      `usage: node dist/scripts/make-onnx.js NAME FOLDER [--layers N --hidden N …]\nNAME: ${Object.keys(ONNX_MODELS).join(', ')}\n`,
    );
    process.exitCode = 2;
    return;
  }
  const { dtype, external, ...numbers } = values;
  const options = Object.fromEntries(Object.entries(numbers).map(([key, text]) => [key, Number(text)]));
  const path = makeOnnx(name, folder, given({ ...options, dtype, external } as MakeOptions));
  process.stdout.write(`${path}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
