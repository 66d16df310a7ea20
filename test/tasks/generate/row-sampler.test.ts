/** The sampler of one answer over a real tokenizer: where answers end, what their text is, and that it follows from row and seed. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { byteTokenizer, byteVocabulary, specialIds } from '../../../scripts/make-text-model/byte-tokenizer.js';
import { DecoderTokens } from '../../../src/tasks/generate/decoder-tokens.js';
import { RowSampler, type RowSamplerOptions } from '../../../src/tasks/generate/row-sampler.js';
import { PLAIN_SAMPLING, type SamplingSettings } from '../../../src/tasks/generate/sampling-settings.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const END = specialIds()['<|im_end|>']!;
const VOCABULARY = byteVocabulary().length + 8;

async function openTokens(t: Parameters<typeof tempFolder>[0]): Promise<DecoderTokens> {
  const path = tempFolder(t)('tokenizer.json');
  writeFileSync(path, JSON.stringify(byteTokenizer()));
  return DecoderTokens.open(path, Object.values(specialIds()));
}

/** Feeds logits by which the likeliest tokens are these, until the sampler ends. */
function follow(sampler: RowSampler, ids: readonly number[]): number {
  for (const [n, id] of ids.entries()) {
    const logits = new Float32Array(VOCABULARY);
    logits[id] = 5;
    if (sampler.next(logits).finish !== null) return n + 1;
  }
  return ids.length;
}

function samplerOf(texts: DecoderTokens, settings: Partial<SamplingSettings>, more: Partial<RowSamplerOptions> = {}) {
  return new RowSampler({
    ...{ settings: { ...PLAIN_SAMPLING, ...settings }, maxTokens: 100, prompt: [], ends: new Set([END]), texts },
    ...{ key: { seed: 0, row: 0, choice: 0 }, ...more },
  });
}

test('a text of whole characters, a piece at a time; the end token is counted and is no text', async (t) => {
  const tokens = await openTokens(t);
  const { ids } = await tokens.encode('the 中 in 😀 é', false);
  const pieces: string[] = [];
  const sampler = samplerOf(tokens, {}, { onText: (piece) => pieces.push(piece) });
  assert.equal(follow(sampler, [...ids, END, 1]), ids.length + 1);
  assert.deepEqual([sampler.text, sampler.finish, sampler.ids.length], ['the 中 in 😀 é', 'stop', ids.length + 1]);
  assert.equal(pieces.join(''), sampler.text);
  assert.ok(pieces.every((piece) => piece.isWellFormed() && !piece.includes('\ufffd')));
});

test('a stop text over the borders of tokens ends the answer before it, and nothing of it is ever given', async (t) => {
  const tokens = await openTokens(t);
  const { ids } = await tokens.encode('one the end there', false);
  const pieces: string[] = [];
  const sampler = samplerOf(tokens, { stop: ['nothing', 'e end t'] }, { onText: (piece) => pieces.push(piece) });
  assert.ok(follow(sampler, ids) < ids.length);
  assert.deepEqual([sampler.text, sampler.finish, pieces.join('')], ['one th', 'stop', 'one th']);
});

test('what looked like the beginning of a stop text is given when the answer ends', async (t) => {
  const tokens = await openTokens(t);
  const { ids } = await tokens.encode('abc', false);
  const sampler = samplerOf(tokens, { stop: ['bcd'] });
  follow(sampler, [...ids, END]);
  assert.equal(sampler.text, 'abc');
});

test('the longest answer, within a character', async (t) => {
  const tokens = await openTokens(t);
  const { ids } = await tokens.encode('a😀', false);
  const sampler = samplerOf(tokens, {}, { maxTokens: 3 });
  assert.equal(follow(sampler, ids), 3);
  assert.deepEqual([sampler.text, sampler.finish], ['a\ufffd', 'length']);
});

test('end tokens that are ignored go on; ids that end an answer are asked for by themselves', async (t) => {
  const tokens = await openTokens(t);
  const sampler = samplerOf(tokens, {}, { maxTokens: 4, ends: new Set([66]) });
  assert.equal(follow(sampler, [65, END, 66, 65]), 3);
  assert.equal(sampler.finish, 'stop');
});

test('log probabilities are the model’s own, whatever bias and temperature do', async (t) => {
  const tokens = await openTokens(t);
  const sampler = samplerOf(tokens, { logprobs: 2, logitBias: { 70: 100 }, temperature: 0.5 });
  const logits = new Float32Array(VOCABULARY);
  logits[65] = 3;
  const { id, logprob, top } = sampler.next(logits);
  assert.equal(id, 70);
  const whole = Math.log(VOCABULARY - 1 + Math.exp(3));
  assert.ok(Math.abs(logprob! + whole) < 1e-9);
  assert.deepEqual(
    top!.map((each) => each.id),
    [65, 0],
  );
});

test('logits that are no numbers end the answer with a failure, not the job', async (t) => {
  const sampler = samplerOf(await openTokens(t), {});
  const { finish } = sampler.next(new Float32Array(VOCABULARY).fill(Number.NaN));
  assert.equal(finish, 'stop');
  assert.match(sampler.failure!.message, /after 0 tokens: the logits of the model hold NaN/);
});

test('the same seed and row draw the same tokens, others draw others', async (t) => {
  const tokens = await openTokens(t);
  const drawn = (seed: number, row: number) => {
    const sampler = samplerOf(
      tokens,
      { temperature: 1 },
      { maxTokens: 20, ends: new Set(), key: { seed, row, choice: 0 } },
    );
    for (let n = 0; n < 20; n++) sampler.next(new Float32Array(VOCABULARY));
    return sampler.ids.join();
  };
  assert.equal(drawn(1, 1), drawn(1, 1));
  assert.equal(new Set([drawn(1, 1), drawn(1, 2), drawn(2, 1)]).size, 3);
});
