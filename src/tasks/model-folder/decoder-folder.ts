/** A model that continues texts, with all that its folder says of it. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { type ChatTemplateFile, findChatTemplate } from './chat-template-file.js';
import { type FoundModel, findModelFolder } from './find-model-folder.js';
import { GENAI_FILE, type GenaiConfig, readGenaiConfig } from './genai-config.js';
import { type GenerationSettings, readGenerationSettings } from './generation-settings.js';
import type { Longest } from './longest.js';
import { SettingsFiles } from './settings-file.js';
import {
  type AddedToken,
  readAddedTokens,
  readSpecialTokens,
  readTextEnds,
  type SpecialTokens,
  type TextEnds,
} from './special-tokens.js';
import { findTokenizer, type TokenizerFile } from './tokenizer-file.js';

export interface DecoderFolder extends FoundModel {
  readonly tokenizer: TokenizerFile;
  readonly special: SpecialTokens;
  readonly added: readonly AddedToken[];
  readonly ends: TextEnds;
  readonly chatTemplate: ChatTemplateFile | null;
  readonly generation: GenerationSettings;
  /** Tokens of a prompt and its answer together. */
  readonly longest: Longest;
  readonly genai: GenaiConfig | null;
  /** Files that were read. */
  readonly files: readonly string[];
}

const LENGTHS = z.looseObject({
  max_position_embeddings: z.int().positive().nullish(),
  n_positions: z.int().positive().nullish(),
  text_config: z.looseObject({ max_position_embeddings: z.int().positive().nullish() }).nullish(),
});
const TOKENIZER_LENGTH = z.looseObject({ model_max_length: z.number().nullish() });
/** Above it, a number stands for "not limited", as 1e30 does. */
const MOST = 1e9;

/**
 * @param path a folder as transformers.js, optimum or onnxruntime-genai lay it out, or the .onnx file in it or in its `onnx/`
 * @param variant the name of a variant (`q4`) or of a file
 * Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED.
 */
export async function readDecoderFolder(path: string, variant?: string): Promise<DecoderFolder> {
  const found = await findDecoder(path, variant);
  const files = new SettingsFiles(found.folder);
  const genai = await readGenaiConfig(files);
  const tokenizer = await findTokenizer(files, '');
  const special = await readSpecialTokens(files);
  const added = await readAddedTokens(files);
  return {
    ...found,
    ...{ tokenizer, special, added, genai },
    ends: await readTextEnds(files, genai, { special, added }),
    chatTemplate: await findChatTemplate(files),
    generation: await readGenerationSettings(files, genai),
    longest: await readLength(files, genai),
    files: files.read,
  };
}

/** Where no variant is asked for, genai_config.json names the file; older exports call it decoder_model_merged.onnx. */
async function findDecoder(path: string, variant: string | undefined): Promise<FoundModel> {
  if (variant !== undefined || !(await stat(path).catch(() => null))?.isDirectory())
    return findModelFolder(path, variant);
  const files = new SettingsFiles(path);
  const named = (await readGenaiConfig(files))?.model.decoder?.filename;
  const usual = ['onnx/decoder_model_merged.onnx', 'decoder_model_merged.onnx'];
  for (const name of [...(named ? [named] : []), 'model.onnx', 'onnx/model.onnx', ...usual]) {
    if ((await stat(join(path, name)).catch(() => null))?.isFile()) {
      return { modelFile: resolve(path, name), folder: resolve(path) };
    }
  }
  return findModelFolder(path);
}

/** genai_config.json, then the positions of config.json, then the tokenizer's `model_max_length`. */
async function readLength(files: SettingsFiles, genai: GenaiConfig | null): Promise<Longest> {
  const context = genai?.model.context_length;
  if (context) return { tokens: context, origin: `context_length in ${GENAI_FILE}` };
  const config = await files.json('config.json', LENGTHS);
  const positions =
    config?.max_position_embeddings ?? config?.text_config?.max_position_embeddings ?? config?.n_positions ?? null;
  if (positions !== null) return { tokens: positions, origin: 'max_position_embeddings in config.json' };
  const most = (await files.json('tokenizer_config.json', TOKENIZER_LENGTH))?.model_max_length;
  if (most != null && Number.isInteger(most) && most > 0 && most < MOST) {
    return { tokens: most, origin: 'model_max_length in tokenizer_config.json' };
  }
  return { tokens: null, origin: 'no file sets a limit' };
}
