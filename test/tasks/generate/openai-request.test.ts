/** Lines of an OpenAI batch file that ask for texts: what is read of them, and what is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowRecord } from '../../../src/rows/record.js';
import { openaiRequest } from '../../../src/tasks/generate/openai-request.js';

const CHAT = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'hi' }];
const read = (body: object, url: string | null = CHAT) =>
  openaiRequest({ custom_id: 'a', url, body } as unknown as RowRecord, true);

test('settings by their names, and null as if the field were not there', () => {
  const body = {
    messages,
    model: 'm',
    max_tokens: 5,
    temperature: null,
    top_p: 0.5,
    stop: 'x',
    seed: 3,
    n: 2,
    user: 'u',
  };
  const { settings, model, prompts } = read({ ...body, logit_bias: { 4: -100 }, logprobs: true, top_logprobs: 2 });
  assert.equal(model, 'm');
  assert.deepEqual(prompts, [{ kind: 'messages', messages }]);
  const expected = { maxTokens: 5, topP: 0.5, stop: ['x'], seed: 3, n: 2, logitBias: { 4: -100 }, logprobs: 2 };
  assert.deepEqual(settings, expected);
  assert.deepEqual(read({ messages, max_completion_tokens: 7, stop: ['a', 'b'], stream: false }).settings, {
    maxTokens: 7,
    stop: ['a', 'b'],
  });
});

test('prompts of completions: a text, token ids, and lists of both', () => {
  const prompts = (prompt: unknown) => read({ prompt }, '/v1/completions').prompts;
  assert.deepEqual(prompts('a'), [{ kind: 'text', text: 'a' }]);
  assert.deepEqual(prompts([1, 2]), [{ kind: 'ids', ids: [1, 2] }]);
  assert.deepEqual(prompts(['a', [3]]), [
    { kind: 'text', text: 'a' },
    { kind: 'ids', ids: [3] },
  ]);
  assert.deepEqual(read({ prompt: 'a', logprobs: 0 }, null).settings, { logprobs: 0 });
});

test('parts of texts are joined, other parts are refused', () => {
  const parts = (content: unknown) => read({ messages: [{ role: 'user', content }] }).prompts[0];
  const text = (value: string) => ({ type: 'text', text: value });
  assert.deepEqual(parts([text('a'), text('b')]), { kind: 'messages', messages: [{ role: 'user', content: 'a\nb' }] });
  assert.throws(() => parts([text('a'), { type: 'image_url' }]), /body\.messages\[0\]\.content\[1\].*image_url/);
});

test('what cannot be answered is refused by its name', () => {
  const wrong: [object, RegExp, string?][] = [
    [{ messages, tools: [{}] }, /body\.tools/],
    [{ messages, stream: true }, /body\.stream: true/],
    [{ messages, verbosity: 'low' }, /body\.verbosity is not supported/],
    [{ messages, n: 0 }, /body\.n 0: it is a whole number from 1/],
    [{ messages, temperature: 'hot' }, /body\.temperature/],
    [{ messages, top_p: 0 }, /body\.top_p/],
    [{ messages, top_logprobs: 3 }, /body\.top_logprobs is given without/],
    [{ messages, logprobs: true, top_logprobs: 21 }, /body\.top_logprobs: it is a whole number from 0 to 20/],
    [{ messages: [] }, /body\.messages is no list of messages/],
    [{ messages: [{ role: 'robot', content: '' }] }, /role is "robot"/],
    [{ messages, prompt: 'a' }, /body\.prompt is not supported/],
    [{ messages, response_format: { type: 'xml' } }, /response_format/],
    [{ prompt: 'a', echo: true }, /body\.echo: true/, '/v1/completions'],
    [{ prompt: [] }, /body\.prompt/, '/v1/completions'],
    [{ input: 'a' }, /url is "\/v1\/embeddings"/, '/v1/embeddings'],
  ];
  for (const [body, message, url] of wrong) assert.throws(() => read(body, url), message);
  assert.throws(
    () => openaiRequest({ custom_id: 'a', body: { messages } } as unknown as RowRecord, false),
    /chat template/,
  );
});

test('the form of an answer', () => {
  const schema = { type: 'object' };
  const json = { type: 'json_schema', json_schema: { name: 'x', schema } };
  assert.deepEqual(read({ messages, response_format: json }).form, { kind: 'schema', schema });
  assert.deepEqual(read({ messages, response_format: { type: 'json_object' } }).form, { kind: 'json' });
  assert.equal(read({ messages, response_format: { type: 'text' } }).form, undefined);
  assert.deepEqual(read({ messages, guided_regex: 'a+' }).form, { kind: 'regex', pattern: 'a+' });
});
