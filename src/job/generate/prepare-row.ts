/** Makes the sequences of a row: its prompts as tokens, and the sampler of each answer. */
import { RowFault } from '../../rows/row-fault.js';
import type { AnswerForms } from '../../tasks/generate/answer-forms.js';
import type { AnswerForm, PromptForm, RowPrompts } from '../../tasks/generate/row-prompts.js';
import { RowSampler } from '../../tasks/generate/row-sampler.js';
import type { SamplingSettings } from '../../tasks/generate/sampling-settings.js';
import type { GeneratorModel } from './open-generator.js';

/** One answer that is to be made. */
export interface RowSequence {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly sampler: RowSampler;
}

export interface PreparedPrompts {
  readonly sequences: readonly RowSequence[];
  /** Of all prompts of the row, each counted once. */
  readonly promptTokens: number;
  readonly settings: SamplingSettings;
  readonly wasIllFormed: boolean;
}

export interface Preparing {
  readonly model: GeneratorModel;
  /** Ids of tokens are below it. */
  readonly vocabulary: number;
  /** Tokens of a prompt and its answer together. */
  readonly maxLength: number;
  /** What an answer must be where a row says nothing. */
  readonly form?: AnswerForm | undefined;
  readonly forms: AnswerForms;
  readonly onText?: (piece: string) => void;
}

/** Throws RowFault. `index`: position of the row in the input. */
export async function prepareRow(row: RowPrompts, index: number, preparing: Preparing): Promise<PreparedPrompts> {
  const { model, vocabulary, maxLength, forms, onText } = preparing;
  const settings: SamplingSettings = { ...model.sampling, ...row.settings };
  const beyond = [...Object.keys(settings.logitBias).map(Number), ...settings.stopIds].find((id) => id >= vocabulary);
  if (beyond !== undefined) throw invalid(`there is no token ${beyond}: the model has ${vocabulary}`);
  const own = row.settings.seed !== undefined;
  const form = row.form ?? preparing.form;
  const ends = new Set([...(settings.ignoreEos ? [] : model.ends), ...settings.stopIds]);
  const sequences: RowSequence[] = [];
  let [promptTokens, wasIllFormed] = [0, false];
  for (const [n, each] of row.prompts.entries()) {
    const { ids, wasIllFormed: replaced } = await encoded(each, model);
    const wrong = ids.find((id) => id >= vocabulary);
    if (wrong !== undefined) throw invalid(`the prompt has token ${wrong}: the model has ${vocabulary}`);
    if (ids.length === 0) throw invalid('the prompt has no token');
    if (ids.length >= maxLength) {
      throw invalid(`the prompt has ${ids.length} tokens; with its answer it may have ${maxLength} (--max-length)`);
    }
    promptTokens += ids.length;
    wasIllFormed ||= replaced;
    const maxTokens = Math.min(settings.maxTokens ?? maxLength, maxLength - ids.length);
    for (let choice = 0; choice < settings.n; choice++) {
      const key = { seed: settings.seed, row: own ? 0 : index, choice: n * settings.n + choice };
      const mask = form && (await forms.mask(form, ends));
      const sampler = new RowSampler({
        settings,
        maxTokens,
        prompt: ids,
        ends,
        texts: model.tokens,
        key,
        mask,
        onText,
      });
      sequences.push({ prompt: ids, maxTokens, sampler });
    }
  }
  return { sequences, promptTokens, settings, wasIllFormed };
}

async function encoded(prompt: PromptForm, { tokens, template }: GeneratorModel) {
  if (prompt.kind === 'ids') return { ids: prompt.ids, wasIllFormed: false };
  if (prompt.kind === 'text') return tokens.encode(prompt.text, true);
  if (!template) throw invalid('messages need a chat template, and the model has none');
  return tokens.encode(template.render(prompt), false);
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
