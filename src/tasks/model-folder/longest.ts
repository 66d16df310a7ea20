/** How many tokens a text may have: the files of one model often disagree, and one rule decides. */

import { join } from 'node:path';
import { z } from 'zod';
import type { SettingsFiles } from './settings-file.js';

export interface Longest {
  /** Tokens, special ones included; `null` if no file has it. */
  readonly tokens: number | null;
  /** Where that was read, for a person. */
  readonly origin: string;
}

const SENTENCE_SETTINGS = z.looseObject({ max_seq_length: z.number().nullish() });
const TOKENIZER_SETTINGS = z.looseObject({ model_max_length: z.number().nullish() });

/** Names of sentence-transformers' settings, one for each kind of model. */
const SENTENCE_FILES = ['bert', 'roberta', 'distilbert', 'camembert', 'albert', 'xlm-roberta', 'xlnet'].map(
  (kind) => `sentence_${kind}_config.json`,
);
/** Above it, a number stands for "not limited", as 1e30 does. */
const MOST = 1e9;

/**
 * First the settings of sentence-transformers, then the tokenizer's `model_max_length`. The truncation in tokenizer.json is a trace of how it was
 * trained or exported, and `max_position_embeddings` counts positions that some models cannot use; neither is taken.
 */
export async function readLongest(files: SettingsFiles, transformer: string): Promise<Longest> {
  for (const name of SENTENCE_FILES) {
    const path = join(transformer, name);
    const tokens = counted((await files.json(path, SENTENCE_SETTINGS))?.max_seq_length);
    if (tokens !== null) return { tokens, origin: `max_seq_length in ${path}` };
  }
  const path = join(transformer, 'tokenizer_config.json');
  const tokens = counted((await files.json(path, TOKENIZER_SETTINGS))?.model_max_length);
  if (tokens !== null) return { tokens, origin: `model_max_length in ${path}` };
  return { tokens: null, origin: 'no file sets a limit' };
}

function counted(value: number | null | undefined): number | null {
  return value != null && Number.isInteger(value) && value > 0 && value < MOST ? value : null;
}
