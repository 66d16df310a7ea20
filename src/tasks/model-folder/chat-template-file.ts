/** Finds the chat template of a model: how the messages of a conversation become one text. */
import { z } from 'zod';
import type { SettingsFiles } from './settings-file.js';

export interface ChatTemplateFile {
  /** Jinja. */
  readonly source: string;
  /** Where it was read, for a person. */
  readonly origin: string;
}

const NAMED = z.array(z.looseObject({ name: z.string(), template: z.string() }));
const CONFIG = z.looseObject({ chat_template: z.union([z.string(), NAMED]).nullish() });

/**
 * As in Transformers chat_template.jinja wins over chat_template.json, and both over `chat_template` in tokenizer_config.json; of several the one named
 * `default` is taken. `null` without one. Throws TANDEM_MODEL_INVALID.
 */
export async function findChatTemplate(files: SettingsFiles): Promise<ChatTemplateFile | null> {
  const file = await files.bytes('chat_template.jinja');
  if (file) return { source: file.toString('utf8').replace(/^\ufeff/, ''), origin: 'chat_template.jinja' };
  for (const name of ['chat_template.json', 'tokenizer_config.json']) {
    const template = (await files.json(name, CONFIG))?.chat_template;
    if (typeof template === 'string') return { source: template, origin: name };
    const chosen = template?.find((each) => each.name === 'default') ?? template?.[0];
    if (chosen) return { source: chosen.template, origin: `${name}, the one named ${chosen.name}` };
  }
  return null;
}
