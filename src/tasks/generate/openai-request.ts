/** What a line of an OpenAI batch file asks for: `/v1/chat/completions` or `/v1/completions`, with the further fields that vLLM has. */
import type { RowRecord } from '../../rows/record.js';
import { RowFault } from '../../rows/row-fault.js';
import { bodyOf } from '../texts/batch-request.js';
import { type AnswerForm, messagesOf, type PromptForm, type RowPrompts } from './row-prompts.js';
import { type SamplingSettings, wrongSetting } from './sampling-settings.js';

type Body = Readonly<Record<string, unknown>>;
type Kind = 'chat' | 'completions';

/** Fields of both kinds by the setting that they give. */
const SETTINGS: Readonly<Record<string, keyof SamplingSettings>> = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  max_tokens: 'maxTokens',
  max_completion_tokens: 'maxTokens',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repetition_penalty: 'repetitionPenalty',
  logit_bias: 'logitBias',
  stop: 'stop',
  stop_token_ids: 'stopIds',
  ignore_eos: 'ignoreEos',
  n: 'n',
  seed: 'seed',
};
/** What says nothing about the answer, or is read by itself. */
const READ: Readonly<Record<Kind, readonly string[]>> = {
  chat: [
    'messages',
    'logprobs',
    'top_logprobs',
    'response_format',
    'chat_template_kwargs',
    'guided_json',
    'guided_regex',
  ],
  completions: ['prompt', 'logprobs', 'guided_json', 'guided_regex'],
};
const IGNORED = ['model', 'user', 'metadata', 'store', 'service_tier', 'safety_identifier', 'prompt_cache_key'];
/** Fields that change nothing with these values, and are refused with others. */
const ONLY: Readonly<Record<string, readonly unknown[]>> = {
  stream: [false],
  stream_options: [],
  echo: [false],
  suffix: [''],
  best_of: [1],
  tools: [],
  tool_choice: ['none', 'auto'],
  parallel_tool_calls: [true, false],
  modalities: [],
  reasoning_effort: [],
};
/** Prompts of one line, at most. */
const MOST_PROMPTS = 2048;

/** Throws RowFault, which names the field, for a line that cannot be answered. */
export function openaiRequest(record: RowRecord, hasChatTemplate: boolean): RowPrompts {
  const body = bodyOf(record) as Body;
  const kind = kindOf(record.url, body);
  if (kind === 'chat' && !hasChatTemplate)
    throw invalid('the model has no chat template: give one with --chat-template FILE');
  checkFields(body, kind);
  const prompts = kind === 'chat' ? [conversationOf(body)] : promptsOf(body.prompt);
  const form = formOf(body);
  return {
    prompts,
    settings: settingsOf(body, kind),
    answer: kind,
    ...(form && { form }),
    ...(typeof body.model === 'string' && { model: body.model }),
  };
}

function kindOf(url: unknown, body: Body): Kind {
  if (url === undefined || url === null) return 'messages' in body ? 'chat' : 'completions';
  if (url === '/v1/chat/completions') return 'chat';
  if (url === '/v1/completions') return 'completions';
  throw invalid(`url is ${JSON.stringify(url)}; answers are given to /v1/chat/completions and /v1/completions`);
}

function checkFields(body: Body, kind: Kind): void {
  for (const [name, value] of Object.entries(body)) {
    if (value === null || name in SETTINGS || READ[kind].includes(name) || IGNORED.includes(name)) continue;
    const only = ONLY[name];
    if (only?.includes(value) || (only && Array.isArray(value) && value.length === 0)) continue;
    const shown = JSON.stringify(value) ?? '';
    throw invalid(`body.${name}${only ? `: ${shown.slice(0, 60)}` : ''} is not supported`);
  }
}

function conversationOf(body: Body): PromptForm {
  const variables = body.chat_template_kwargs;
  if (variables !== undefined && variables !== null && (typeof variables !== 'object' || Array.isArray(variables))) {
    throw invalid('body.chat_template_kwargs is no object');
  }
  const messages = messagesOf(body.messages, 'body.messages');
  return { kind: 'messages', messages, ...(variables && { variables: variables as Record<string, unknown> }) };
}

function promptsOf(prompt: unknown): PromptForm[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }];
  if (!Array.isArray(prompt) || prompt.length === 0) throw invalid('body.prompt is no text, nor a list of them');
  if (typeof prompt[0] === 'number') return [{ kind: 'ids', ids: idsOf(prompt, 'body.prompt') }];
  if (prompt.length > MOST_PROMPTS) throw invalid(`body.prompt has more than ${MOST_PROMPTS} prompts`);
  return prompt.map((each: unknown, n): PromptForm => {
    if (typeof each === 'string') return { kind: 'text', text: each };
    if (Array.isArray(each) && each.length > 0) return { kind: 'ids', ids: idsOf(each, `body.prompt[${n}]`) };
    throw invalid(`body.prompt[${n}] is no text, nor a list of token ids`);
  });
}

function idsOf(values: readonly unknown[], path: string): readonly number[] {
  const wrong = values.findIndex((id) => !Number.isInteger(id) || (id as number) < 0);
  if (wrong >= 0) throw new RowFault('TANDEM_ROW_TYPE', `${path}[${wrong}] is no token id`);
  return values as readonly number[];
}

function settingsOf(body: Body, kind: Kind): Partial<SamplingSettings> {
  const settings: Record<string, unknown> = {};
  for (const [field, name] of Object.entries(SETTINGS)) {
    const value = body[field];
    if (value === undefined || value === null) continue;
    const given = name === 'stop' && typeof value === 'string' ? [value] : value;
    const problem = wrongSetting(name, given);
    if (problem !== null) throw invalid(`body.${field} ${JSON.stringify(value)}: it ${problem}`);
    settings[name] = given;
  }
  const logprobs = kind === 'chat' ? chatLogprobs(body) : body.logprobs;
  if (logprobs !== undefined && logprobs !== null) {
    const problem = wrongSetting('logprobs', logprobs);
    if (problem !== null) throw invalid(`body.${kind === 'chat' ? 'top_logprobs' : 'logprobs'}: it ${problem}`);
    settings.logprobs = logprobs;
  }
  return settings as Partial<SamplingSettings>;
}

function chatLogprobs({ logprobs, top_logprobs: top }: Body): unknown {
  if (logprobs !== undefined && logprobs !== null && typeof logprobs !== 'boolean') {
    throw invalid('body.logprobs is true or false');
  }
  if (logprobs === true) return top ?? 0;
  if (top !== undefined && top !== null) throw invalid('body.top_logprobs is given without "logprobs": true');
  return null;
}

function formOf(body: Body): AnswerForm | null {
  const { guided_json: schema, guided_regex: pattern, response_format: format } = body;
  if (typeof pattern === 'string') return { kind: 'regex', pattern };
  if (schema !== undefined && schema !== null)
    return { kind: 'schema', schema: typeof schema === 'string' ? JSON.parse(schema) : schema };
  if (format === undefined || format === null) return null;
  const { type, json_schema: named } = format as { type?: unknown; json_schema?: { schema?: unknown } };
  if (type === 'text') return null;
  if (type === 'json_object') return { kind: 'json' };
  if (type === 'json_schema' && typeof named?.schema === 'object' && named.schema !== null) {
    return { kind: 'schema', schema: named.schema };
  }
  throw invalid(`body.response_format of type ${JSON.stringify(type)} is not supported`);
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
