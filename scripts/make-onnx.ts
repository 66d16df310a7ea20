/** Writes seeded ONNX models for tests and measurements: `node dist/scripts/make-onnx.js NAME FOLDER [--layers N …]`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Graph } from '../src/prove/models/graph.js';
import { type ModelOptions, writeModel } from '../src/prove/models/model-file.js';
import { resnet } from '../src/prove/models/resnet.js';
import { BERT_BASE, bert, type TransformerShape } from '../src/prove/models/transformer.js';
import { type DecoderShape, decoder, TINY_DECODER } from './make-onnx/decoder.js';
import { dynamic, int4, qdq, qdqMlp, tiedWeights, weightOnly } from './make-onnx/quantised.js';
import { meanOfTokens } from './make-onnx/ragged-models.js';
import {
  cachedDecoder,
  defaultValued,
  disagreeing,
  oneInside,
  rankless,
  stateBeside,
  timeMajor,
  voice,
} from './make-onnx/rows-models.js';
import { batchSecond, clipText, layerEmbeddings, recurrent, whisper } from './make-onnx/rows-second.js';
import {
  batchStatistics,
  cached,
  callers,
  centred,
  cnn,
  controlFlow,
  detector,
  innerStrings,
  mlp,
  oddWeights,
  running,
  sequences,
  strings,
  twoInTwoOut,
} from './make-onnx/small-models.js';
import { squeezenet } from './make-onnx/squeezenet.js';

export interface MakeOptions
  extends Partial<TransformerShape>,
    Partial<Pick<DecoderShape, 'kvHeads' | 'headSize'>>,
    ModelOptions {
  readonly seed?: number;
  /** The modules of nodes by their names, of which tandem makes layers; else the names tell them. */
  readonly modules?: ReadonlyMap<string, number>;
}

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

type Made = Graph | ({ readonly graph: Graph } & Pick<ModelOptions, 'functions' | 'opset' | 'irVersion'>);

/** The first versions with 4-bit numbers and block-wise scales. */
const WITH_INT4 = { opset: 21, irVersion: 10 };

/** All models. */
export const ONNX_MODELS: Record<string, (options: MakeOptions) => Made> = {
  mlp: ({ layers, hidden, seed }) => mlp(layers, hidden, seed),
  cnn: ({ layers, hidden, seed }) => cnn(layers, hidden, seed),
  'two-in-two-out': ({ seed }) => twoInTwoOut(seed),
  detector: ({ seed }) => detector(seed),
  cached: ({ seed }) => cached(seed),
  'control-flow': ({ seed }) => controlFlow(seed),
  sequences: ({ seed }) => sequences(seed),
  strings: () => strings(),
  'inner-strings': () => innerStrings(),
  'odd-weights': ({ seed }) => oddWeights(seed),
  functions: ({ seed }) => callers(seed),
  qdq: ({ layers, seed }) => qdq(layers, seed),
  int4: ({ layers, seed }) => int4(layers, seed),
  'int8-weights': ({ layers, seed }) => weightOnly({ layers, seed }),
  'int8-shared': ({ layers, seed }) => weightOnly({ shares: 'weights', layers, seed }),
  'int8-one-scale': ({ layers, seed }) => weightOnly({ shares: 'scale', layers, seed }),
  'int8-transposed': ({ layers, seed }) => weightOnly({ shares: 'weights', through: 'Transpose', layers, seed }),
  'int8-cast': ({ layers, seed }) => weightOnly({ shares: 'weights', through: 'Cast', layers, seed }),
  'int8-reshaped': ({ layers, seed }) => weightOnly({ shares: 'weights', through: 'Reshape', layers, seed }),
  'int8-relu': ({ layers, seed }) => weightOnly({ ends: 'Relu', layers, seed }),
  'int8-residual': ({ layers, seed }) => weightOnly({ ends: 'residual', layers, seed }),
  'int8-bias': ({ layers, seed }) => weightOnly({ ends: 'bias', layers, seed }),
  'int4-weights': ({ layers, seed }) => ({ graph: weightOnly({ dtype: 'int4', layers, seed }), ...WITH_INT4 }),
  'int4-shared': ({ layers, seed }) => ({
    graph: weightOnly({ dtype: 'int4', shares: 'weights', layers, seed }),
    ...WITH_INT4,
  }),
  tied: ({ seed }) => ({ graph: tiedWeights(seed), ...WITH_INT4 }),
  'qdq-reshape': ({ seed }) => qdqMlp('Reshape', seed),
  'qdq-transpose': ({ seed }) => qdqMlp('Transpose', seed),
  'qdq-pool': ({ seed }) => qdqMlp('MaxPool', seed),
  'qdq-bias': ({ seed }) => qdqMlp('Add', seed),
  'qdq-relu': ({ seed }) => qdqMlp('Relu', seed),
  'qdq-twice': ({ seed }) => qdqMlp('twice', seed),
  dynamic: ({ layers, seed }) => dynamic(layers, seed),
  centred: ({ seed }) => centred(seed),
  'batch-statistics': ({ seed }) => batchStatistics(seed),
  running: ({ seed }) => running(seed),
  transformer: ({ seed, ...shape }) => bert({ ...TINY, ...given(shape) }, seed),
  unmasked: ({ seed }) => meanOfTokens('unmasked', seed),
  'mask-ignored': ({ seed }) => meanOfTokens('ignored', seed),
  'rows-see-rows': ({ seed }) => meanOfTokens('neighbours', seed),
  'batch-second': ({ layers, seed }) => batchSecond(layers, seed),
  'clip-text': ({ layers, seed }) => clipText(layers, seed),
  'layer-embeddings': ({ layers, seed }) => layerEmbeddings(layers, seed),
  lstm: ({ layers, seed }) => recurrent('LSTM', layers, seed),
  gru: ({ layers, seed }) => recurrent('GRU', layers, seed),
  whisper: ({ layers, seed }) => whisper(layers, seed),
  'decoder-concat': ({ seed, ...shape }) =>
    decoder({ ...TINY_DECODER, ...given(shape) }, { form: 'concat', seed: seed ?? 1 }),
  'decoder-in-place': ({ seed, ...shape }) =>
    decoder({ ...TINY_DECODER, ...given(shape) }, { form: 'in-place', seed: seed ?? 1 }),
  'cached-decoder': ({ layers, seed }) => cachedDecoder(layers, seed),
  voice: ({ seed }) => voice(seed),
  'state-beside': ({ seed }) => stateBeside(seed),
  'time-major': ({ seed }) => timeMajor('N', seed),
  'time-major-unnamed': ({ seed }) => timeMajor(null, seed),
  disagreeing: ({ seed }) => disagreeing(seed),
  'one-inside': ({ seed }) => oneInside(seed),
  rankless: ({ seed }) => rankless(seed),
  'default-valued': ({ seed }) => defaultValued(2, seed),
  'resnet-50': ({ seed }) => resnet(224, seed),
  squeezenet: ({ seed }) => squeezenet(224, seed),
  bert: ({ seed, ...shape }) => bert({ ...BERT_BASE, ...given(shape) }, seed),
};

/** Writes `folder/model.onnx` (and `model.onnx_data` for external weights) and returns its path. By default BERT's weights are external. */
export function makeOnnx(name: string, folder: string, options: MakeOptions = {}): string {
  const make = Object.hasOwn(ONNX_MODELS, name) ? ONNX_MODELS[name] : undefined;
  if (!make) throw new Error(`no model "${name}"; the models are ${Object.keys(ONNX_MODELS).join(', ')}`);
  mkdirSync(folder, { recursive: true });
  const made = make(options);
  const { graph, ...needs } = made instanceof Graph ? { graph: made } : made;
  if (options.modules) graph.intoModules(options.modules);
  return writeModel(join(folder, 'model.onnx'), graph, { external: name === 'bert', ...needs, ...options });
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
