/** Renders the messages of a conversation as one text, by the model's chat template. */
import { TandemError } from '../../errors.js';
import { RowFault } from '../../rows/row-fault.js';
import { rowPackagesError } from '../../rows/row-packages.js';
import type { ChatTemplateFile } from '../model-folder/chat-template-file.js';
import type { SpecialTokens } from '../model-folder/special-tokens.js';

export interface Conversation {
  /** As chat templates take them: `{ role, content }` and what else a template looks at. */
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  /** Further variables of the template, for example `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** The clock would give every run another prompt: templates have a date of their own then, or take one as a variable. */
const WITHOUT_CLOCK = '{% set strftime_now = there_is_no_clock %}\n';

export class ChatTemplate {
  readonly #render: (variables: Record<string, unknown>) => string;
  readonly #special: SpecialTokens;

  private constructor(render: (variables: Record<string, unknown>) => string, special: SpecialTokens) {
    this.#render = render;
    this.#special = special;
  }

  /** Throws TANDEM_PACKAGE_MISSING, TANDEM_MODEL_INVALID. */
  static async open({ source, origin }: ChatTemplateFile, special: SpecialTokens): Promise<ChatTemplate> {
    const { Template } = await loadJinja();
    try {
      const template = new Template(`${WITHOUT_CLOCK}${source}`);
      return new ChatTemplate((variables) => template.render(variables), special);
    } catch (cause) {
      throw new TandemError('TANDEM_MODEL_INVALID', `the chat template in ${origin}: ${(cause as Error).message}`, {
        remedy: 'give another one: --chat-template FILE.jinja',
        cause,
      });
    }
  }

  /** The text up to where the answer begins. Throws RowFault for messages that the template refuses. */
  render({ messages, variables = {} }: Conversation): string {
    try {
      return this.#render({
        ...this.#special,
        ...variables,
        messages,
        add_generation_prompt: true,
      });
    } catch (error) {
      throw new RowFault('TANDEM_ROW_INVALID', `the chat template refuses the messages: ${(error as Error).message}`);
    }
  }
}

async function loadJinja(): Promise<typeof import('@huggingface/jinja')> {
  try {
    return await import('@huggingface/jinja');
  } catch (cause) {
    throw rowPackagesError('texts', cause);
  }
}
