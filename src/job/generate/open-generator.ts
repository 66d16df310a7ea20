/** A model that generates texts, opened: its folder, its tokens, its chat template and its decoder. */
import { readFile } from 'node:fs/promises';
import { TandemError } from '../../errors.js';
import { grouped } from '../../grouped-digits.js';
import { RowFault } from '../../rows/row-fault.js';
import { AnswerForms } from '../../tasks/generate/answer-forms.js';
import { ChatTemplate } from '../../tasks/generate/chat-template.js';
import { DecoderTokens } from '../../tasks/generate/decoder-tokens.js';
import type { AnswerForm } from '../../tasks/generate/row-prompts.js';
import { PLAIN_SAMPLING, type SamplingSettings, wrongSetting } from '../../tasks/generate/sampling-settings.js';
import type { ChatTemplateFile } from '../../tasks/model-folder/chat-template-file.js';
import { type DecoderFolder, readDecoderFolder } from '../../tasks/model-folder/decoder-folder.js';
import { boundTokenizerThreads } from '../../tasks/texts/native-tokenizer.js';
import type { ModelRequest } from './generate-request.js';

/** As `--chat-template`: prompts are continued as they are. */
export const NO_TEMPLATE = 'none';
/** Tokens of a prompt and its answer, unless fewer or others are asked for. */
const USUAL_LENGTH = 1024;

/** All but the decoder, which takes long to load. */
export interface GeneratorModel {
  readonly folder: DecoderFolder;
  readonly tokens: DecoderTokens;
  readonly template: ChatTemplate | null;
  /** Of the job. */
  readonly sampling: SamplingSettings;
  readonly ends: ReadonlySet<number>;
  /** Tokens of a prompt and its answer together. */
  readonly maxLength: number;
  /** Sentences about where each setting was read, for a person. */
  readonly origins: readonly string[];
  /** Files that were read besides the model's own. */
  readonly files: readonly string[];
}

/** Throws TANDEM_USAGE, TANDEM_MODEL_*, TANDEM_PACKAGE_MISSING. */
export async function openGeneratorModel({ model, generate }: ModelRequest): Promise<GeneratorModel> {
  boundTokenizerThreads();
  for (const [name, value] of Object.entries(generate.sampling)) {
    const problem = wrongSetting(name as keyof SamplingSettings, value);
    if (problem !== null)
      throw new TandemError('TANDEM_USAGE', `${name} ${JSON.stringify(value)}: it ${problem}`, {
        remedy: 'see: tandem generate --help',
      });
  }
  const folder = await readDecoderFolder(model, generate.modelFile);
  const asked = generate.chatTemplate;
  const file = asked === undefined ? folder.chatTemplate : await givenTemplate(asked);
  const special = folder.added.filter((token) => token.special).map(({ id }) => id);
  const sampling = { ...PLAIN_SAMPLING, ...folder.generation.settings, ...generate.sampling };
  const tokens = await DecoderTokens.open(folder.tokenizer.path, special);
  if (generate.form) await checkForm(generate.form, tokens);
  const { maxLength, lengthOrigin } = lengthOf(folder, generate.maxLength);
  return {
    folder,
    tokens,
    template: file && (await ChatTemplate.open(file, folder.special)),
    sampling,
    ends: new Set(folder.ends.ids),
    maxLength,
    origins: [
      `model: ${folder.modelFile}`,
      `tokenizer: ${folder.tokenizer.path}`,
      file ? `chat template: ${file.origin}` : 'chat template: none, so prompts are continued as they are',
      `a text ends with token ${folder.ends.ids.join(', ') || 'none'} (${folder.ends.origin})`,
      `length: at most ${grouped(maxLength)} tokens with the prompt (${lengthOrigin})`,
      `sampling: ${described(sampling)} (${folder.generation.origin})`,
    ],
    files: [...folder.files, ...(file && asked !== undefined ? [asked] : [])],
  };
}

/** What keeps answers to a form; nothing is loaded before one is asked for. */
export function formsOf({ tokens }: GeneratorModel, vocabulary: number): AnswerForms {
  return new AnswerForms(() => tokens.stored(vocabulary));
}

/** A form that no answer can be kept to is refused before the model is loaded. */
async function checkForm(form: AnswerForm, tokens: DecoderTokens): Promise<void> {
  try {
    const mask = await new AnswerForms(() => tokens.stored(1)).mask(form, new Set([0]));
    mask.end();
  } catch (error) {
    if (!(error instanceof RowFault)) throw error;
    throw new TandemError('TANDEM_USAGE', error.message, { remedy: 'see: tandem generate --help' });
  }
}

async function givenTemplate(path: string): Promise<ChatTemplateFile | null> {
  if (path === NO_TEMPLATE) return null;
  try {
    return { source: await readFile(path, 'utf8'), origin: path };
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `--chat-template ${path} cannot be read: ${(cause as Error).message}`, {
      remedy: `give a file with a Jinja template, or ${NO_TEMPLATE}`,
      cause,
    });
  }
}

/** Memory is taken for the longest text in each slot, so a model that takes more is not given more unasked. */
function lengthOf({ longest }: DecoderFolder, asked: number | undefined): { maxLength: number; lengthOrigin: string } {
  const most = longest.tokens;
  if (asked !== undefined && most !== null && asked > most) {
    throw new TandemError('TANDEM_USAGE', `--max-length ${asked}: the model takes ${most} tokens (${longest.origin})`, {
      remedy: `give at most ${most}`,
    });
  }
  if (asked !== undefined) return { maxLength: asked, lengthOrigin: '--max-length' };
  if (most !== null && most <= USUAL_LENGTH) return { maxLength: most, lengthOrigin: longest.origin };
  const more = most === null ? longest.origin : `the model takes ${grouped(most)}: ${longest.origin}`;
  return { maxLength: USUAL_LENGTH, lengthOrigin: `--max-length gives another; ${more}` };
}

/** What is not as if nobody had said anything. */
function described(sampling: SamplingSettings): string {
  const isDrawn = sampling.temperature > 0;
  const plain: SamplingSettings = PLAIN_SAMPLING;
  const ofDrawing: readonly string[] = ['topK', 'topP', 'minP', 'seed'];
  const shown = Object.entries(sampling).filter(([name, value]) => {
    if (name === 'temperature' || (!isDrawn && ofDrawing.includes(name))) return false;
    return name === 'seed' || JSON.stringify(value) !== JSON.stringify(plain[name as keyof SamplingSettings]);
  });
  const words = shown.map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [isDrawn ? `temperature ${sampling.temperature}` : 'the likeliest token', ...words].join(', ');
}
