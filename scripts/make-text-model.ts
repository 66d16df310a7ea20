/**
 * Writes a small model of texts as the Hugging Face hub lays it out: a transformer with seeded weights, a WordPiece tokenizer, and the settings of
 * sentence-transformers or of a classifier.
 *
 *   node dist/scripts/make-text-model.js FOLDER [embed|classify|rerank]
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeOnnx } from './make-onnx.js';
import { tinyTokenizer, tinyVocabulary } from './make-text-model/tiny-tokenizer.js';

export interface TextModelOptions {
  readonly kind?: 'embed' | 'classify' | 'rerank';
  readonly labels?: readonly string[];
  /** Where the .onnx file lies in the folder. */
  readonly file?: string;
  readonly external?: boolean;
  readonly hidden?: number;
  readonly layers?: number;
  readonly positions?: number;
  readonly maxTokens?: number;
  /** Further or other files, by name: their text, or what is written as JSON; `null` leaves one out. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** The labels of a classifier that names none. */
const LABELS = ['sad', 'neutral', 'glad'];

/** Returns the folder. */
export function makeTextModel(folder: string, options: TextModelOptions = {}): string {
  const { kind = 'embed', hidden = 32, layers = 2, positions = 64, maxTokens = 48, file = 'model.onnx' } = options;
  const labels = options.labels ?? (kind === 'rerank' ? ['score'] : LABELS);
  const shape = { hidden, layers, positions, heads: 4, ffn: 2 * hidden, vocabulary: tinyVocabulary().length, types: 2 };
  const onnx = makeOnnx('transformer', folder, {
    ...shape,
    ...(kind !== 'embed' && { labels: labels.length }),
    external: options.external,
  });
  mkdirSync(join(folder, file, '..'), { recursive: true });
  // External weights are named in the file, relative to it.
  renameSync(onnx, join(folder, file));
  if (options.external) renameSync(`${onnx}_data`, join(folder, file, '..', 'model.onnx_data'));
  const files: Record<string, unknown> = {
    'tokenizer.json': tinyTokenizer(),
    'tokenizer_config.json': { tokenizer_class: 'BertTokenizer', model_max_length: 512, pad_token: '[PAD]' },
    'config.json': { model_type: 'bert', pad_token_id: 0, ...(kind !== 'embed' && { id2label: { ...labels } }) },
    ...(kind === 'embed' && sentenceFiles(hidden, maxTokens)),
    ...(kind !== 'embed' && { 'tokenizer_config.json': { model_max_length: maxTokens, pad_token: '[PAD]' } }),
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    if (content === null) continue;
    mkdirSync(join(folder, name, '..'), { recursive: true });
    const data = content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), data);
  }
  return folder;
}

/** Those of a model that pools by the mean and normalises. */
function sentenceFiles(width: number, maxTokens: number): Record<string, unknown> {
  const type = 'sentence_transformers.models';
  return {
    'modules.json': [
      { idx: 0, name: '0', path: '', type: `${type}.Transformer` },
      { idx: 1, name: '1', path: '1_Pooling', type: `${type}.Pooling` },
      { idx: 2, name: '2', path: '2_Normalize', type: `${type}.Normalize` },
    ],
    '1_Pooling/config.json': { word_embedding_dimension: width, pooling_mode_mean_tokens: true },
    'sentence_bert_config.json': { max_seq_length: maxTokens, do_lower_case: false },
  };
}

function main(): void {
  const [folder, kind] = process.argv.slice(2);
  if (!folder) throw new Error('give a folder');
  console.log(makeTextModel(folder, { kind: kind as TextModelOptions['kind'] }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
