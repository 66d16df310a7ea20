/** Chat templates: rendered by the model's own, without a clock, and refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHAT_TEMPLATE } from '../../../scripts/make-text-model/byte-tokenizer.js';
import { ChatTemplate } from '../../../src/tasks/generate/chat-template.js';

const messages = [{ role: 'user', content: 'hi' }];
const open = (source: string) => ChatTemplate.open({ source, origin: 'x.jinja' }, { bos_token: '<s>' });

test('messages become one text up to where the answer begins', async () => {
  const template = await open(CHAT_TEMPLATE);
  assert.equal(template.render({ messages }), '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n');
});

test('special tokens and variables are there; a newline at the beginning stays', async () => {
  const template = await open('\n{{ bos_token }}{% if thinking %}!{% endif %}{{ messages[0].content }}');
  assert.equal(template.render({ messages }), '\n<s>hi');
  assert.equal(template.render({ messages, variables: { thinking: true } }), '\n<s>!hi');
});

test('a template that asks for today has no clock, and its own date is taken', async () => {
  const template = await open('{% if strftime_now is defined %}{{ strftime_now("%Y") }}{% else %}2024{% endif %}');
  assert.equal(template.render({ messages }), '2024');
});

test('what a template refuses costs the row; what is no template is refused before any row', async () => {
  const template = await open('{{ raise_exception("roles must alternate") }}');
  assert.throws(() => template.render({ messages }), { code: 'TANDEM_ROW_INVALID', message: /roles must alternate/ });
  await assert.rejects(open('{% if %}'), { code: 'TANDEM_MODEL_INVALID' });
});
