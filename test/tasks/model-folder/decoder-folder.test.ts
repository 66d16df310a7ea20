/** What is read of the folder of a decoder, and which file wins. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDecoderFolder } from '../../../src/tasks/model-folder/decoder-folder.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const TOKENIZER = {
  model: {},
  added_tokens: [
    { id: 7, content: '<end>', special: true },
    { id: 8, content: '<turn>', special: true },
  ],
};

function folderOf(at: string, files: Readonly<Record<string, unknown>>): string {
  const all: Record<string, unknown> = { 'model.onnx': '', 'tokenizer.json': TOKENIZER, ...files };
  for (const [name, content] of Object.entries(all)) {
    mkdirSync(join(at, name, '..'), { recursive: true });
    writeFileSync(join(at, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return at;
}

test('ends: generation_config.json wins over config.json; the eos_token of the tokenizer always counts', async (t) => {
  const at = tempFolder(t);
  const config = { 'config.json': { eos_token_id: 2, max_position_embeddings: 64 } };
  const plain = await readDecoderFolder(folderOf(at('a'), config));
  assert.deepEqual(plain.ends.ids, [2]);
  assert.deepEqual(plain.longest, { tokens: 64, origin: 'max_position_embeddings in config.json' });
  const more = { 'generation_config.json': { eos_token_id: [7, 3] }, 'tokenizer_config.json': { eos_token: '<turn>' } };
  const chosen = await readDecoderFolder(folderOf(at('b'), { ...config, ...more }));
  assert.deepEqual(chosen.ends.ids, [7, 3, 8]);
  const object = { 'tokenizer_config.json': { eos_token: { content: '<end>' } } };
  assert.deepEqual((await readDecoderFolder(folderOf(at('c'), { ...config, ...object }))).ends.ids, [2, 7]);
});

test('sampling: only do_sample draws, and genai_config.json is asked where there is no generation_config.json', async (t) => {
  const at = tempFolder(t);
  const settingsOf = async (name: string, files: Readonly<Record<string, unknown>>) =>
    (await readDecoderFolder(folderOf(at(name), files))).generation.settings;
  assert.deepEqual(await settingsOf('none', {}), { temperature: 0 });
  const greedy = { 'generation_config.json': { temperature: 0.6, top_p: 0.9, repetition_penalty: 1.1 } };
  assert.deepEqual(await settingsOf('greedy', greedy), { temperature: 0, repetitionPenalty: 1.1 });
  const drawn = { 'generation_config.json': { do_sample: true, top_p: 0.9, top_k: 20, max_new_tokens: 9 } };
  assert.deepEqual(await settingsOf('drawn', drawn), { temperature: 1, topP: 0.9, topK: 20, maxTokens: 9 });
  const genai = { 'genai_config.json': { model: {}, search: { do_sample: true, temperature: 0.5 } } };
  assert.deepEqual(await settingsOf('genai', genai), { temperature: 0.5 });
  assert.deepEqual(await settingsOf('both', { ...genai, ...greedy }), { temperature: 0, repetitionPenalty: 1.1 });
  const wrong = { 'generation_config.json': { do_sample: true, top_p: 1.5 } };
  await assert.rejects(settingsOf('wrong', wrong), { code: 'TANDEM_MODEL_INVALID' });
});

test('the chat template: chat_template.jinja, then chat_template.json, then the default one in tokenizer_config.json', async (t) => {
  const at = tempFolder(t);
  const templateOf = async (name: string, files: Readonly<Record<string, unknown>>) =>
    (await readDecoderFolder(folderOf(at(name), files))).chatTemplate?.source ?? null;
  const own = [
    { name: 'tools', template: 't' },
    { name: 'default', template: 'd' },
  ];
  const files = { 'tokenizer_config.json': { chat_template: own } };
  const json = { ...files, 'chat_template.json': { chat_template: 'j' } };
  assert.equal(await templateOf('none', {}), null);
  assert.equal(await templateOf('named', files), 'd');
  assert.equal(await templateOf('json', json), 'j');
  assert.equal(await templateOf('jinja', { ...json, 'chat_template.jinja': 'x\n' }), 'x\n');
});

test('the file: as genai_config.json names it, or of the asked variant', async (t) => {
  const at = tempFolder(t);
  const genai = { model: { decoder: { filename: 'text.onnx' }, context_length: 99 } };
  const found = await readDecoderFolder(folderOf(at('a'), { 'text.onnx': '', 'genai_config.json': genai }));
  assert.equal(found.modelFile, at('a/text.onnx'));
  assert.equal(found.longest.tokens, 99);
  const variants = folderOf(at('b'), { 'onnx/model.onnx': '', 'onnx/model_q4.onnx': '' });
  assert.equal((await readDecoderFolder(variants, 'q4')).modelFile, at('b/onnx/model_q4.onnx'));
  const cut = { model: { decoder: { pipeline: [{}] } } };
  await assert.rejects(readDecoderFolder(folderOf(at('c'), { 'genai_config.json': cut })), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
  });
});
