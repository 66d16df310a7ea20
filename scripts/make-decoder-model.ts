/**
 * Writes a small model that continues texts, as the Hugging Face hub lays it out: a decoder with seeded weights, a byte-level tokenizer, a chat
 * template and the settings of its generation.
 *
 *   node dist/scripts/make-decoder-model.js FOLDER [concat|in-place]
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeOnnx } from './make-onnx.js';
import { byteTokenizer, byteVocabulary, CHAT_TEMPLATE, specialIds } from './make-text-model/byte-tokenizer.js';

export interface DecoderModelOptions {
  readonly form?: 'concat' | 'in-place';
  readonly seed?: number;
  readonly layers?: number;
  /** Tokens of a prompt and its answer together. */
  readonly positions?: number;
  /** Further or other files, by name: their text, or what is written as JSON; `null` leaves one out. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** Models are often wider than their tokenizers. */
const BEYOND = 8;

/** Returns the folder. */
export function makeDecoderModel(folder: string, options: DecoderModelOptions = {}): string {
  const { form = 'concat', seed = 1, layers = 2, positions = 256 } = options;
  const ids = specialIds();
  const vocabulary = byteVocabulary().length + Object.keys(ids).length + BEYOND;
  mkdirSync(folder, { recursive: true });
  const shape = { layers, positions, vocabulary };
  renameSync(makeOnnx(`decoder-${form}`, folder, { seed, ...shape }), join(folder, 'model.onnx'));
  const files: Record<string, unknown> = {
    'tokenizer.json': byteTokenizer(),
    'tokenizer_config.json': { eos_token: '<|im_end|>', bos_token: '<|endoftext|>', chat_template: CHAT_TEMPLATE },
    'config.json': {
      ...{ model_type: 'llama', max_position_embeddings: positions, eos_token_id: ids['<|endoftext|>'] },
      vocab_size: vocabulary,
    },
    'generation_config.json': { eos_token_id: ids['<|endoftext|>'] },
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    if (content === null) continue;
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

function main(): void {
  const [folder, form] = process.argv.slice(2);
  if (!folder) throw new Error('give a folder');
  console.log(makeDecoderModel(folder, { form: form as DecoderModelOptions['form'] }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
