/** config_sentence_transformers.json: the prompts that a model wants before its texts, by name. */
import { z } from 'zod';
import type { SettingsFiles } from './settings-file.js';

export interface Prompts {
  readonly byName: Readonly<Record<string, string>>;
  /** Added to each text unless the user sets another. */
  readonly default: string | null;
}

const FILE = 'config_sentence_transformers.json';
const CONFIG = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
});

/** Throws TANDEM_MODEL_INVALID. */
export async function readPrompts(files: SettingsFiles): Promise<Prompts> {
  const config = await files.json(FILE, CONFIG);
  const given = Object.entries(config?.prompts ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
  const byName = Object.fromEntries(given);
  const name = config?.default_prompt_name;
  return { byName, default: name == null ? null : (byName[name] ?? null) };
}
