/** A model of texts with the settings of its folder. */
import { type FoundModel, findModelFolder } from './find-model-folder.js';
import { type Longest, readLongest } from './longest.js';
import { type ModelSettings, readModelSettings } from './model-settings.js';
import { type Module, readModules } from './modules.js';
import { MEAN } from './pooling-settings.js';
import { type Prompts, readPrompts } from './prompts.js';
import { SettingsFiles } from './settings-file.js';
import { findTokenizer, type TokenizerFile } from './tokenizer-file.js';

export interface ModelFolder extends FoundModel {
  readonly modules: readonly Module[];
  readonly modulesOrigin: string;
  readonly longest: Longest;
  readonly prompts: Prompts;
  readonly settings: ModelSettings;
  readonly tokenizer: TokenizerFile;
  readonly padId: number;
  /** Files that were read. */
  readonly files: readonly string[];
}

/**
 * @param path a folder as the Hugging Face hub lays it out, or the .onnx file in it or in its `onnx/`
 * @param variant the name of a variant (`q8`) or of a file
 * Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED.
 */
export async function readModelFolder(path: string, variant?: string): Promise<ModelFolder> {
  const found = await findModelFolder(path, variant);
  const files = new SettingsFiles(found.folder);
  const listed = await readModules(files);
  const transformer = listed?.transformer ?? '';
  const tokenizer = await findTokenizer(files, transformer);
  const settings = await readModelSettings(files, transformer);
  return {
    ...found,
    modules: listed?.modules ?? [{ kind: 'pooling', pooling: MEAN }],
    modulesOrigin: listed ? 'modules.json' : 'no modules.json, so as sentence-transformers does then',
    longest: await readLongest(files, transformer),
    prompts: await readPrompts(files),
    settings,
    tokenizer,
    // As a text of its own, a pad is never looked at: the attention mask hides it.
    padId: tokenizer.padId ?? settings.padId ?? 0,
    files: files.read,
  };
}
