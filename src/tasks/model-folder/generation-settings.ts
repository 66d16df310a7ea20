/** How a model's files say that its tokens are chosen. */
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { type SamplingSettings, wrongSetting } from '../generate/sampling-settings.js';
import type { GenaiConfig } from './genai-config.js';
import type { SettingsFiles } from './settings-file.js';

type Chosen = Partial<
  Pick<SamplingSettings, 'temperature' | 'topK' | 'topP' | 'minP' | 'repetitionPenalty' | 'maxTokens'>
>;

export interface GenerationSettings {
  readonly settings: Chosen;
  /** Where they were read, for a person. */
  readonly origin: string;
}

const NUMBER = z.number().nullish();
const CONFIG = z.looseObject({
  do_sample: z.boolean().nullish(),
  temperature: NUMBER,
  top_k: NUMBER,
  top_p: NUMBER,
  min_p: NUMBER,
  repetition_penalty: NUMBER,
  max_new_tokens: NUMBER,
});

const FILE = 'generation_config.json';

/**
 * generation_config.json wins over genai_config.json. As in Transformers, tokens are drawn only where `do_sample` is true, else the likeliest is
 * taken. Throws TANDEM_MODEL_INVALID.
 */
export async function readGenerationSettings(
  files: SettingsFiles,
  genai: GenaiConfig | null,
): Promise<GenerationSettings> {
  const config = await files.json(FILE, CONFIG);
  const search = genai?.search ? CONFIG.parse(genai.search) : null;
  const given = config ?? search;
  const file = config ? FILE : 'genai_config.json';
  if (!given) return { settings: { temperature: 0 }, origin: 'no file says otherwise' };
  const all: Record<string, unknown> = {
    temperature: given.do_sample ? (given.temperature ?? 1) : 0,
    ...(given.do_sample ? { topK: given.top_k, topP: given.top_p, minP: given.min_p } : {}),
    repetitionPenalty: given.repetition_penalty,
    maxTokens: given.max_new_tokens,
  };
  const settings = Object.fromEntries(Object.entries(all).filter(([, value]) => value != null)) as Chosen;
  for (const [name, value] of Object.entries(settings)) {
    const problem = wrongSetting(name as keyof SamplingSettings, value);
    if (problem !== null) throw new TandemError('TANDEM_MODEL_INVALID', `${file}: ${name} ${value}: it ${problem}`);
  }
  return { settings, origin: given.do_sample ? file : `no do_sample in ${file}` };
}
