/** What a row asks for: one prompt or several, how its tokens are chosen, and in which form the answer is given. */
import { TandemError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import type { Column, RowRecord, Value } from '../../rows/record.js';
import { memberPath, RowFault } from '../../rows/row-fault.js';
import type { SamplingSettings } from './sampling-settings.js';

export type Message = Readonly<Record<string, unknown>> & { readonly role: string };

export type PromptForm =
  | {
      readonly kind: 'messages';
      readonly messages: readonly Message[];
      readonly variables?: Readonly<Record<string, unknown>>;
    }
  /** Continued as it is. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'ids'; readonly ids: readonly number[] };

/** What an answer must be: JSON of a schema, any JSON object, or a text of a regular expression. */
export type AnswerForm =
  | { readonly kind: 'schema'; readonly schema: unknown }
  | { readonly kind: 'json' }
  | { readonly kind: 'regex'; readonly pattern: string };

export interface RowPrompts {
  readonly prompts: readonly PromptForm[];
  /** What the row itself says of them. */
  readonly settings: Partial<SamplingSettings>;
  readonly answer: 'plain' | 'chat' | 'completions';
  readonly form?: AnswerForm | undefined;
  /** The model's name as the row gives it. */
  readonly model?: string | undefined;
}

export interface PromptColumns {
  readonly column?: string | undefined;
  /** Whether a prompt is the message of a user; else it is continued as it is. */
  readonly chat: boolean;
  /** A message of the system before it. */
  readonly system?: string | undefined;
}

const MESSAGES = 'messages';
/** Columns that are taken for the prompt where none is named, the first that is there. */
const USUAL = [MESSAGES, 'prompt', 'text', 'question', 'instruction'];

/**
 * How the prompt of a record is found. `columns` are those of a table; JSON lines have columns of their own in each row.
 * Throws TANDEM_USAGE for a column that the table does not have.
 */
export function promptsOf(asked: PromptColumns, columns: readonly Column[] | null): (record: RowRecord) => RowPrompts {
  const { column } = asked;
  const name = columns
    ? columnIn(
        columns.map((each) => each.name),
        column,
      )
    : null;
  return (record) => {
    const own = name ?? column ?? usual(Object.keys(record).filter((key) => key !== 'id'));
    if (own === null) {
      throw new RowFault('TANDEM_ROW_INVALID', `no column is named ${USUAL.join(', ')}: name it with --column`);
    }
    if (!Object.hasOwn(record, own)) throw new RowFault('TANDEM_ROW_INVALID', `${memberPath('row', own)} is missing`);
    return { prompts: [promptOf(record[own], memberPath('row', own), asked)], settings: {}, answer: 'plain' };
  };
}

/** A prompt that a person typed. */
export function typedPrompt(text: string, { chat, system }: PromptColumns): PromptForm {
  if (!chat) return { kind: 'text', text };
  return { kind: 'messages', messages: [...systemOf(system), { role: 'user', content: text }] };
}

function systemOf(system: string | undefined): Message[] {
  return system === undefined ? [] : [{ role: 'system', content: system }];
}

function promptOf(value: Value, path: string, asked: PromptColumns): PromptForm {
  const list = typeof value === 'string' && value.trimStart().startsWith('[{') ? parsed(value) : value;
  if (Array.isArray(list)) {
    const messages = messagesOf(list, path);
    if (!asked.chat)
      throw new RowFault('TANDEM_ROW_INVALID', `${path} has messages, and the model has no chat template`);
    const hasSystem = messages.some(({ role }) => role === 'system');
    return { kind: 'messages', messages: hasSystem ? messages : [...systemOf(asked.system), ...messages] };
  }
  if (typeof value !== 'string') {
    throw new RowFault('TANDEM_ROW_TYPE', `${path} is no string, nor a list of messages`);
  }
  return typedPrompt(value, asked);
}

/** A cell of a table with messages holds them as JSON; a text that only looks like it is a text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

/** Messages with their contents as one text. Throws RowFault. */
export function messagesOf(value: unknown, path: string): Message[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new RowFault('TANDEM_ROW_INVALID', `${path} is no list of messages`);
  return value.map((message: unknown, n) => {
    const at = `${path}[${n}]`;
    if (typeof message !== 'object' || message === null) throw new RowFault('TANDEM_ROW_TYPE', `${at} is no object`);
    const { role, content, ...rest } = message as Record<string, unknown>;
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      throw new RowFault(
        'TANDEM_ROW_INVALID',
        `${at}.role is ${JSON.stringify(role)}; it is one of ${ROLES.join(', ')}`,
      );
    }
    return { role, content: contentOf(content, `${at}.content`), ...rest };
  });
}

function contentOf(content: unknown, path: string): string {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return '';
  if (!Array.isArray(content)) throw new RowFault('TANDEM_ROW_TYPE', `${path} is no string, nor a list of parts`);
  const texts = content.map((part: unknown, n) => {
    const { type, text } = (part ?? {}) as Record<string, unknown>;
    if (type === 'text' && typeof text === 'string') return text;
    throw new RowFault('TANDEM_ROW_INVALID', `${path}[${n}] is of type ${JSON.stringify(type)}; only text is taken`);
  });
  // As vLLM joins them.
  return texts.join('\n');
}

function usual(names: readonly string[]): string | null {
  return USUAL.find((name) => names.includes(name)) ?? (names.length === 1 ? names[0]! : null);
}

function columnIn(names: readonly string[], asked: string | undefined): string {
  const name = asked ?? usual(names);
  if (name !== null && names.includes(name)) return name;
  const there = names.slice(0, 20).join(', ');
  if (name === null) {
    throw new TandemError('TANDEM_USAGE', 'which column has the prompts? none is named prompt', {
      remedy: `name it: --column ${names[0] ?? 'NAME'}; the rows have ${there}`,
    });
  }
  const nearest = nearestName(name, names);
  throw new TandemError('TANDEM_USAGE', `--column ${name}: the rows have no such column`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}they have ${there}`,
  });
}
