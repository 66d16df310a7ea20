/** The body of the answer to a line of an OpenAI batch file that asks for texts. The same line gives the same text: no times are invented. */
import type { TokenLogprobs } from './row-sampler.js';

export interface Choice {
  readonly text: string;
  readonly finish: 'stop' | 'length';
  /** Tokens of the answer, the one that ended it included. */
  readonly tokens: number;
  /** Of each token; `null` where none were asked for. */
  readonly logprobs: readonly TokenLogprobs[] | null;
}

export interface AnswerParts {
  readonly kind: 'chat' | 'completions';
  /** Position of the row in the input. */
  readonly row: number;
  readonly model: string;
  /** In the order of their numbers. */
  readonly choices: readonly Choice[];
  /** Of all prompts of the line. */
  readonly promptTokens: number;
  /** The text of a single token. */
  readonly token: (id: number) => string;
}

/** As JSON text. */
export function openaiAnswer({ kind, row, model, choices, promptTokens, token }: AnswerParts): string {
  const isChat = kind === 'chat';
  const completionTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0);
  return JSON.stringify({
    id: `${isChat ? 'chatcmpl' : 'cmpl'}-${row}`,
    object: isChat ? 'chat.completion' : 'text_completion',
    created: 0,
    model,
    choices: choices.map((choice, index) =>
      isChat ? chatChoice(choice, index, token) : textChoice(choice, index, token),
    ),
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  });
}

function chatChoice({ text, finish, logprobs }: Choice, index: number, token: AnswerParts['token']) {
  const content = logprobs?.map(({ id, logprob, top }) => ({
    ...entry(token(id), logprob),
    top_logprobs: top.map((each) => entry(token(each.id), each.logprob)),
  }));
  return {
    index,
    message: { role: 'assistant', content: text },
    logprobs: content ? { content } : null,
    finish_reason: finish,
  };
}

/** A token that is part of a character has no text, and its bytes are not known. */
function entry(token: string, logprob: number) {
  return { token, logprob, bytes: token.includes('\ufffd') ? null : [...Buffer.from(token)] };
}

function textChoice({ text, finish, logprobs }: Choice, index: number, token: AnswerParts['token']) {
  return { text, index, logprobs: logprobs && textLogprobs(logprobs, token), finish_reason: finish };
}

function textLogprobs(logprobs: readonly TokenLogprobs[], token: AnswerParts['token']) {
  const tokens = logprobs.map(({ id }) => token(id));
  let offset = 0;
  return {
    tokens,
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ top }) => Object.fromEntries(top.map((each) => [token(each.id), each.logprob]))),
    text_offset: tokens.map((text) => {
      offset += text.length;
      return offset - text.length;
    }),
  };
}
