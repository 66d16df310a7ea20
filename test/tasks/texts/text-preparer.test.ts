/** Texts become tokens: special ones, masks, positions, cutting, and characters that are not whole. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tinyVocabulary } from '../../../scripts/make-text-model/tiny-tokenizer.js';
import { makeTextModel } from '../../../scripts/make-text-model.js';
import type { PreparedRow } from '../../../src/tasks/task.js';
import { openTextPreparer, type SelectedText, type TextOptions } from '../../../src/tasks/texts/text-preparer.js';
import type { TokenInput } from '../../../src/tasks/texts/token-inputs.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-texts-'));
after(() => rmSync(folder, { recursive: true }));
makeTextModel(folder);

const vocabulary = tinyVocabulary();
const input = (kind: TokenInput['kind'], more: Partial<TokenInput> = {}): TokenInput => ({
  ...{ kind, dtype: 'int64', length: null },
  ...more,
});

async function prepare(selected: SelectedText, options: Partial<TextOptions> = {}): Promise<PreparedRow> {
  const preparer = await openTextPreparer({
    ...{ tokenizer: join(folder, 'tokenizer.json'), inputs: [input('ids')], limit: null, long: { kind: 'cut' } },
    ...{ prompt: '', padId: 0, firstPosition: 0, vocabulary: vocabulary.length },
    ...options,
  });
  return preparer.prepare(selected);
}

const numbers = ({ tensors }: PreparedRow, n = 0) => Array.from(tensors[n]!.data as BigInt64Array, Number);
const wordsOf = (row: PreparedRow) => numbers(row).map((id) => vocabulary[id]);

test('a text is tokenised whole: tokenizer.json would cut and fill it to 8', async () => {
  const row = await prepare('This is NOT a good film.');
  assert.deepEqual(wordsOf(row), ['[CLS]', 'this', 'is', 'not', 'a', 'good', 'film', '.', '[SEP]']);
  assert.equal(row.counts, undefined);
});

test('mask, types and positions are made, each of its own type', async () => {
  const inputs = [input('ids'), input('mask', { dtype: 'int32' }), input('types'), input('positions')];
  const row = await prepare(['is it', 'a film'], { inputs, firstPosition: 2 });
  assert.deepEqual(wordsOf(row), ['[CLS]', 'is', 'it', '[SEP]', 'a', 'film', '[SEP]']);
  assert.deepEqual([...(row.tensors[1]!.data as Int32Array)], [1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(numbers(row, 2), [0, 0, 0, 0, 1, 1, 1]);
  assert.deepEqual(numbers(row, 3), [2, 3, 4, 5, 6, 7, 8]);
});

test('a text that is too long is cut, with what was lost counted, or refused', async () => {
  const text = 'a good film is not a bad plot';
  const cut = await prepare(text, { limit: 5 });
  assert.deepEqual(wordsOf(cut), ['[CLS]', 'a', 'good', 'film', '[SEP]']);
  assert.deepEqual(cut.counts, { 'texts cut': 1, 'tokens cut': 5 });
  assert.equal((await prepare(text, { limit: 10 })).counts, undefined);
  await assert.rejects(prepare(text, { limit: 5, long: { kind: 'error' } }), {
    code: 'TANDEM_ROW_INVALID',
    message: 'the text has 10 tokens, more than the 5 that the model takes',
  });
});

test('of a pair that is too long, the longer text is cut first', async () => {
  const row = await prepare(['is', 'a good film is not a bad plot'], { limit: 7 });
  assert.deepEqual(wordsOf(row), ['[CLS]', 'is', '[SEP]', 'a', 'good', 'film', '[SEP]']);
  assert.deepEqual(row.counts, { 'texts cut': 1, 'tokens cut': 5 });
});

test('a limit that the special tokens fill is refused before the library meets it', async () => {
  await assert.rejects(prepare('a', { limit: 3 }), { code: 'TANDEM_USAGE', message: /no room beside 3 special ones/ });
});

test('the prompt stands before the text', async () => {
  assert.deepEqual(wordsOf(await prepare('film', { prompt: 'good: ' })), ['[CLS]', 'good', ':', 'film', '[SEP]']);
});

test('half of a pair of surrogates is replaced and counted, and is the same as the replacement', async () => {
  const half = await prepare('a\ud83d film');
  assert.deepEqual(half.counts, { 'texts with half characters': 1 });
  assert.deepEqual(wordsOf(half), wordsOf(await prepare('a\ufffd film')));
});

test('ids that somebody else has made are taken as they are, within the vocabulary', async () => {
  assert.deepEqual(numbers(await prepare({ ids: [2, 7, 3] })), [2, 7, 3]);
  await assert.rejects(prepare({ ids: [2, vocabulary.length] }), {
    code: 'TANDEM_ROW_INVALID',
    message: /is no token id/,
  });
  assert.deepEqual((await prepare({ ids: [2, 7, 8, 9, 3] }, { limit: 4 })).counts, { 'texts cut': 1, 'tokens cut': 1 });
});

test('an input of fixed length is filled with the pad, and the mask says where', async () => {
  const inputs = [input('ids', { length: 6 }), input('mask', { length: 6 })];
  const row = await prepare('film', { inputs, limit: 6, padId: 4 });
  assert.deepEqual(wordsOf(row), ['[CLS]', 'film', '[SEP]', '[MASK]', '[MASK]', '[MASK]']);
  assert.deepEqual(numbers(row, 1), [1, 1, 1, 0, 0, 0]);
});

test('an empty text has its special tokens', async () => {
  assert.deepEqual(wordsOf(await prepare('')), ['[CLS]', '[SEP]']);
});
