/** The special tokens of a model, as its tokenizer's files name them, and the ids that end a text. */
import { z } from 'zod';
import type { GenaiConfig } from './genai-config.js';
import type { SettingsFiles } from './settings-file.js';

/** By name, as chat templates use them: `bos_token`, `eos_token`, … */
export type SpecialTokens = Readonly<Record<string, string>>;

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export interface TextEnds {
  readonly ids: readonly number[];
  /** Where they were read, for a person. */
  readonly origin: string;
}

const TOKEN = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const NAMES = ['bos_token', 'eos_token', 'pad_token', 'unk_token', 'sep_token', 'cls_token', 'mask_token'] as const;
const TOKENS = z.looseObject(Object.fromEntries(NAMES.map((name) => [name, TOKEN])));
const ADDED = z.looseObject({
  added_tokens: z
    .array(z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean().optional() }))
    .nullish(),
});
const ENDS = z.looseObject({ eos_token_id: z.union([z.int(), z.array(z.int())]).nullish() });

/** tokenizer_config.json wins over special_tokens_map.json. Throws TANDEM_MODEL_INVALID. */
export async function readSpecialTokens(files: SettingsFiles): Promise<SpecialTokens> {
  const found: Record<string, string> = {};
  for (const file of ['special_tokens_map.json', 'tokenizer_config.json']) {
    const tokens = await files.json(file, TOKENS);
    for (const name of NAMES) {
      const token = tokens?.[name] as z.infer<typeof TOKEN>;
      const content = typeof token === 'string' ? token : token?.content;
      if (content !== undefined) found[name] = content;
    }
  }
  return found;
}

/** Throws TANDEM_MODEL_INVALID. */
export async function readAddedTokens(files: SettingsFiles): Promise<AddedToken[]> {
  const tokenizer = await files.json('tokenizer.json', ADDED);
  return (tokenizer?.added_tokens ?? []).map(({ id, content, special = false }) => ({ id, content, special }));
}

/**
 * The ids of generation_config.json, else of genai_config.json, else of config.json, and always the tokenizer's `eos_token`: of a chat model
 * that is often the end of a turn, where config.json has the end of a document. Throws TANDEM_MODEL_INVALID.
 */
export async function readTextEnds(
  files: SettingsFiles,
  genai: GenaiConfig | null,
  { special, added }: { readonly special: SpecialTokens; readonly added: readonly AddedToken[] },
): Promise<TextEnds> {
  const generation = await files.json('generation_config.json', ENDS);
  const config = await files.json('config.json', ENDS);
  const sources = [
    [generation?.eos_token_id, 'generation_config.json'],
    [genai?.model.eos_token_id, 'genai_config.json'],
    [config?.eos_token_id, 'config.json'],
  ] as const;
  const found = sources.find(([value]) => value != null);
  const all = new Set([found?.[0] ?? []].flat());
  const origins: string[] = found ? [found[1]] : [];
  const own = added.find(({ content }) => content === special.eos_token);
  if (own && !all.has(own.id)) {
    all.add(own.id);
    origins.push('eos_token in tokenizer_config.json');
  }
  return { ids: [...all], origin: origins.join(' and ') || 'no file names one' };
}
