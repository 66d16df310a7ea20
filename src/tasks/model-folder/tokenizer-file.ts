/** Finds a model's tokenizer.json, and the id that it pads with. */
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import type { SettingsFiles } from './settings-file.js';

export interface TokenizerFile {
  readonly path: string;
  /** The id that fills short texts, as far as the tokenizer's files say. */
  readonly padId: number | null;
}

const FILE = 'tokenizer.json';
const TOKENIZER = z.looseObject({
  model: z.looseObject({}),
  padding: z.looseObject({ pad_id: z.int().nonnegative().optional() }).nullish(),
  added_tokens: z.array(z.looseObject({ id: z.int().nonnegative(), content: z.string() })).nullish(),
});
const CONFIG = z.looseObject({
  pad_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

/** Throws TANDEM_MODEL_MISSING where there is none, TANDEM_MODEL_INVALID. */
export async function findTokenizer(files: SettingsFiles, transformer: string): Promise<TokenizerFile> {
  for (const folder of new Set([transformer, ''])) {
    const tokenizer = await files.json(join(folder, FILE), TOKENIZER);
    if (tokenizer === null) continue;
    const config = await files.json(join(folder, 'tokenizer_config.json'), CONFIG);
    const pad = typeof config?.pad_token === 'string' ? config.pad_token : config?.pad_token?.content;
    const added = tokenizer.added_tokens?.find(({ content }) => content === pad)?.id;
    return { path: join(files.folder, folder, FILE), padId: added ?? tokenizer.padding?.pad_id ?? null };
  }
  throw new TandemError('TANDEM_MODEL_MISSING', `${files.folder} has no ${FILE}, so texts cannot become tokens`, {
    remedy:
      'copy it from where the model came from; from a slow tokenizer, in Python: AutoTokenizer.from_pretrained("MODEL").save_pretrained("FOLDER")',
  });
}
