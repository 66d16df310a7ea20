/** Answers of a given form, by the real library: whatever the model says, what ends is of the form; what cannot be kept to is refused by name. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { byteTokenizer, byteVocabulary, specialIds } from '../../../scripts/make-text-model/byte-tokenizer.js';
import { AnswerForms } from '../../../src/tasks/generate/answer-forms.js';
import { DecoderTokens } from '../../../src/tasks/generate/decoder-tokens.js';
import { Random } from '../../../src/tasks/generate/random.js';
import type { AnswerForm } from '../../../src/tasks/generate/row-prompts.js';
import { RowSampler } from '../../../src/tasks/generate/row-sampler.js';
import { PLAIN_SAMPLING } from '../../../src/tasks/generate/sampling-settings.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const END = specialIds()['<|im_end|>']!;
/** Wider than the tokenizer, and no multiple of 32. */
const VOCABULARY = byteVocabulary().length + 11;
const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 5 },
    age: { type: 'integer', minimum: 0, maximum: 99 },
    kind: { enum: ['a', 'b'] },
    tags: { type: 'array', items: { type: 'boolean' }, maxItems: 3 },
  },
  required: ['name', 'age', 'kind', 'tags'],
  additionalProperties: false,
};

async function open(t: TestContext) {
  const path = tempFolder(t)('tokenizer.json');
  writeFileSync(path, JSON.stringify(byteTokenizer()));
  const tokens = await DecoderTokens.open(path, Object.values(specialIds()));
  return { tokens, forms: new AnswerForms(() => tokens.stored(VOCABULARY)) };
}

/** Logits are random numbers: nothing but the form shapes the answer. */
async function answer(opened: Awaited<ReturnType<typeof open>>, form: AnswerForm, seed: number): Promise<RowSampler> {
  const { tokens, forms } = opened;
  const ends = new Set([END]);
  const settings = { ...PLAIN_SAMPLING, temperature: 1 };
  const mask = await forms.mask(form, ends);
  const key = { seed, row: 0, choice: 0 };
  const sampler = new RowSampler({ settings, maxTokens: 400, prompt: [], ends, texts: tokens, key, mask });
  const random = new Random({ seed, row: 1, choice: 0 });
  while (sampler.finish === null) {
    sampler.next(Float32Array.from({ length: VOCABULARY }, () => 4 * random.next()));
    // As with a real model, the next logits do not come in the same turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(sampler.failure, null);
  return sampler;
}

test('JSON of a schema, whatever the logits say', async (t) => {
  const opened = await open(t);
  let ended = 0;
  for (let seed = 0; seed < 12; seed++) {
    const { text, finish } = await answer(opened, { kind: 'schema', schema: SCHEMA }, seed);
    assert.ok(
      [...text].every((character) => character >= ' '),
      text,
    );
    if (finish !== 'stop') continue;
    ended += 1;
    const { name, age, kind, tags, ...rest } = JSON.parse(text);
    // Random bytes may be no character; the library counts those that it takes for one.
    assert.ok([...name.replaceAll(/\ufffd+/g, '?')].length <= 5, text);
    assert.ok(Number.isInteger(age) && age >= 0 && age <= 99, text);
    assert.ok(['a', 'b'].includes(kind), text);
    assert.ok(tags.length <= 3 && tags.every((tag: unknown) => typeof tag === 'boolean'), text);
    assert.deepEqual(rest, {});
  }
  assert.ok(ended > 6, `${ended} answers ended`);
});

test('texts of a regular expression', async (t) => {
  const opened = await open(t);
  for (let seed = 0; seed < 10; seed++) {
    const { text, finish } = await answer(opened, { kind: 'regex', pattern: '[a-c]{2}-(中|é)[0-9]+' }, seed);
    if (finish === 'stop') assert.match(text, /^[a-c]{2}-(中|é)[0-9]+$/);
    else assert.match(text, /^[a-c]{2}-(中|é)[0-9]+/);
  }
});

test('a form that cannot be kept to costs its own row: answers that are being made go on', async (t) => {
  const opened = await open(t);
  const ends = new Set([END]);
  const mask = await opened.forms.mask({ kind: 'schema', schema: SCHEMA }, ends);
  const wrong: [AnswerForm, RegExp][] = [
    [{ kind: 'regex', pattern: '(a' }, /parenthesis is not closed/],
    [{ kind: 'schema', schema: { type: 'nothing' } }, /schema\.type is "nothing"/],
    [{ kind: 'schema', schema: { items: { multipleOf: 3 } } }, /schema\.items\.multipleOf is not supported/],
    [
      { kind: 'schema', schema: { properties: { a: { type: 'string', format: 'hex' } } } },
      /properties\.a\.format "hex"/,
    ],
    [{ kind: 'schema', schema: { $ref: '#/$defs/none' } }, /cannot be kept to/],
    [{ kind: 'schema', schema: 5 }, /schema is no schema/],
  ];
  for (const [form, message] of wrong) {
    await assert.rejects(opened.forms.mask(form, ends), { code: 'TANDEM_ROW_INVALID', message });
  }
  const logits = new Float32Array(VOCABULARY);
  mask.apply(logits);
  const allowed = [...logits.keys()].filter((id) => logits[id] === 0);
  assert.deepEqual(opened.tokens.text(allowed), '{');
  mask.end();
  assert.equal((await answer(opened, { kind: 'regex', pattern: 'xy' }, 1)).text, 'xy');
  await assert.rejects(opened.forms.mask({ kind: 'json' }, new Set()), /needs a token that ends it/);
});
