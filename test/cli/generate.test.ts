/** `tandem generate` as a person types it: prompts in, answers out, the same after a kill, with bad rows told singly. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { makeDecoderModel } from '../../scripts/make-decoder-model.js';
import { specialIds } from '../../scripts/make-text-model/byte-tokenizer.js';
import { generate, generateText } from '../../src/index.js';
import { openRecords } from '../../src/rows/record-source.js';
import { DecoderTokens } from '../../src/tasks/generate/decoder-tokens.js';
import { interrupt } from './interrupted-run.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-generate-'));
const at = (name: string) => join(cwd, name);
const WORDS = 'the other in a thin inner theatre 中 é 😀'.split(' ');
const ENDS = [specialIds()['<|endoftext|>']!, specialIds()['<|im_end|>']!];
const promptOf = (n: number) =>
  Array.from({ length: 1 + (n % 7) }, (_, k) => WORDS[(n * 3 + k * 5) % WORDS.length]).join(' ');

before(() => {
  makeDecoderModel(at('model'));
  const prompts = Array.from({ length: 40 }, (_, n) => promptOf(n));
  writeFileSync(
    at('prompts.csv'),
    `id,prompt,stars\n${prompts.map((text, n) => `r${n},"${text}",${n % 5}\n`).join('')}`,
  );
  writeFileSync(
    at('prompts.jsonl'),
    prompts.map((prompt, n) => `${JSON.stringify({ id: `r${n}`, prompt })}\n`).join(''),
  );
});
after(() => rmSync(cwd, { recursive: true }));

const run = (...args: string[]) => tandem(['generate', ...args, '-q'], { cwd });
const lines = (name: string) =>
  readFileSync(at(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The likeliest tokens after a prompt, each by the whole text computed anew, without any cache. */
async function plainly(prompt: string, maxTokens: number, isChat = true) {
  const tokens = await DecoderTokens.open(at('model/tokenizer.json'), Object.values(specialIds()));
  const session = await ort.InferenceSession.create(at('model/model.onnx'));
  const text = isChat ? `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n` : prompt;
  const { ids } = await tokens.encode(text, false);
  const all = [...ids];
  const whole = (values: readonly number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const answer: number[] = [];
  while (answer.length < maxTokens && !ENDS.includes(answer.at(-1) ?? -1)) {
    const feeds: Record<string, ort.Tensor> = {
      input_ids: whole(all),
      attention_mask: whole(all.map(() => 1)),
      position_ids: whole(all.map((_, n) => n)),
    };
    for (const name of session.inputNames.filter((each) => each.startsWith('past'))) {
      feeds[name] = new ort.Tensor('float32', new Float32Array(0), [1, 2, 0, 16]);
    }
    const { logits } = await session.run(feeds, ['logits']);
    const last = (logits!.data as Float32Array).slice(-logits!.dims[2]!);
    answer.push(last.indexOf(Math.max(...last)));
    all.push(answer.at(-1)!);
  }
  await session.release();
  const before = tokens.text(ids);
  return { answer: tokens.text(all).slice(before.length), promptTokens: ids.length, tokens: answer.length };
}

test('each prompt has the answer that the whole model gives without a cache', async () => {
  const { status, stderr } = await run('model', '-i', 'prompts.jsonl', '-o', 'plain.jsonl', '--max-tokens', '15');
  assert.equal(status, 0, stderr);
  const made = lines('plain.jsonl');
  assert.deepEqual(
    made.map(({ id }) => id),
    Array.from({ length: 40 }, (_, n) => `r${n}`),
  );
  for (const n of [0, 3, 8, 39]) {
    const { answer, promptTokens, tokens } = await plainly(promptOf(n), 15);
    const { outputs } = made[n];
    assert.equal(outputs.answer, answer);
    assert.deepEqual([outputs.prompt_tokens, outputs.completion_tokens], [promptTokens, tokens]);
    assert.ok(['stop', 'length'].includes(outputs.finish_reason));
  }
});

test('a prompt that is typed is answered on stdout; --chat-template none continues it as it is', async () => {
  const chat = await run('model', promptOf(3), '--max-tokens', '15');
  assert.equal(chat.stdout.toString(), `${(await plainly(promptOf(3), 15)).answer}\n`);
  const raw = await run('model', promptOf(3), '--max-tokens', '15', '--chat-template', 'none');
  assert.equal(raw.stdout.toString(), `${(await plainly(promptOf(3), 15, false)).answer}\n`);
  assert.equal(raw.stderr, '');
});

test('what was read from where is printed, and the tokens are counted', async () => {
  const { stderr } = await tandem(['generate', 'model', 'hi', '--max-tokens', '3'], { cwd });
  assert.match(stderr, /chat template: tokenizer_config\.json/);
  assert.match(stderr, /ends with token 261, 263 \(generation_config\.json and eos_token/);
  assert.match(stderr, /at most 256 tokens with the prompt \(max_position_embeddings in config\.json\)/);
  assert.match(stderr, /tokens of prompt, \d new ones/);
});

test('tables keep their columns, and drawn answers are the same at every run, in every format', async () => {
  const drawn = ['--max-tokens', '10', '--temperature', '1.5', '--seed', '4'];
  for (const output of ['drawn.csv', 'drawn.parquet', 'drawn.jsonl']) {
    const { status, stderr } = await run('model', '-i', 'prompts.csv', '-o', output, ...drawn);
    assert.equal(status, 0, stderr);
  }
  const answers = lines('drawn.jsonl').map(({ outputs }) => outputs.answer);
  for (const output of ['drawn.csv', 'drawn.parquet']) {
    const records = await openRecords([at(output)]);
    const { records: rows } = await records.read(100);
    await records.close();
    assert.deepEqual(Object.keys(rows[0]!), [
      'id',
      'prompt',
      'stars',
      'answer',
      'finish_reason',
      'prompt_tokens',
      'completion_tokens',
    ]);
    assert.deepEqual(
      rows.map(({ answer }) => answer),
      answers,
    );
    assert.equal(rows[7]!.prompt, promptOf(7));
  }
  const { stderr } = await run('model', '-i', 'prompts.csv', '-o', 'again.jsonl', ...drawn);
  assert.equal(readFileSync(at('again.jsonl'), 'utf8'), readFileSync(at('drawn.jsonl'), 'utf8'), stderr);
  await run('model', '-i', 'prompts.csv', '-o', 'other.jsonl', ...drawn.slice(0, -1), '5');
  assert.notDeepEqual(
    lines('other.jsonl').map(({ outputs }) => outputs.answer),
    answers,
  );
});

test('a run that is killed goes on with the same bytes', async () => {
  const many = Array.from({ length: 240 }, (_, n) => ({ prompt: promptOf(n) }));
  writeFileSync(at('many.jsonl'), many.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const args = [
    'generate',
    'model',
    '-i',
    'many.jsonl',
    '--ignore-eos',
    '--max-tokens',
    '60',
    '--temperature',
    '0.9',
    '-q',
  ];
  const whole = await tandem([...args, '-o', 'whole.jsonl'], { cwd });
  assert.equal(whole.status, 0, whole.stderr);
  const killed = await interrupt([...args, '-o', 'killed.jsonl'], { cwd, output: 'killed.jsonl', signal: 'SIGKILL' });
  assert.equal(killed.status, 137);
  assert.ok(!existsSync(at('killed.jsonl')));
  const changed = await tandem([...args.slice(0, -2), '0.8', '-o', 'killed.jsonl', '-q'], { cwd });
  assertFails(changed, { status: 73, code: 'TANDEM_JOURNAL_MISMATCH', says: /temperature/ });
  const resumed = await tandem(['resume', 'killed.jsonl'], { cwd });
  assert.equal(resumed.status, 0, resumed.stderr);
  assert.match(resumed.stderr, /resuming after/);
  assert.ok(readFileSync(at('killed.jsonl')).equals(readFileSync(at('whole.jsonl'))));
  const again = await tandem([...args.slice(0, -1), '-o', 'killed.jsonl'], { cwd });
  assert.match(again.stderr, /nothing is left to do/);
});

test('a program that stops a run again and again ends with the same bytes, in every format', async () => {
  for (const format of ['csv', 'parquet'] as const) {
    const job = (output: string) => ({
      input: at('prompts.csv'),
      output: at(output),
      maxTokens: 12,
      temperature: 1,
      seed: 2,
      slots: 8,
    });
    let limit = 8;
    await generate(at('model'), job(`calm.${format}`));
    for (let stops = 0; ; stops++) {
      const controller = new AbortController();
      // 40 rows are one part of a table, which is written as a whole: it is stopped once, and begins anew.
      const onProgress = ({ rows, newTokens }: { rows: number; newTokens: number }) => {
        const isEnough = format === 'csv' ? rows >= limit : stops === 0 && newTokens > 130;
        if (isEnough) controller.abort(new Error('enough'));
      };
      try {
        const summary = await generate(at('model'), {
          ...job(`stopped.${format}`),
          signal: controller.signal,
          onProgress,
        });
        assert.ok(stops > 0, `${stops} stops`);
        assert.equal(summary?.rows, 40);
        break;
      } catch (error) {
        assert.equal((error as Error).message, 'enough');
        limit += 8;
      }
    }
    assert.ok(readFileSync(at(`stopped.${format}`)).equals(readFileSync(at(`calm.${format}`))), format);
  }
});

test('rows that cannot be answered fail singly', async () => {
  const long = 'the '.repeat(400);
  const rows = [
    { prompt: 'in' },
    { prompt: 5 },
    { prompt: long },
    { text: 'a' },
    { other: 1, more: 2 },
    { prompt: 'in' },
  ];
  writeFileSync(at('bad.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const { status, stderr } = await run('model', '-i', 'bad.jsonl', '-o', 'bad-out.jsonl', '--max-tokens', '4');
  assert.equal(status, 65, stderr);
  assert.deepEqual(
    lines('bad-out.jsonl').map(({ id }) => id),
    [0, 3, 5],
  );
  const failed = lines('bad-out.jsonl.errors.jsonl');
  assert.deepEqual(
    failed.map(({ index }) => index),
    [1, 2, 4],
  );
  assert.match(failed[1].message, /the prompt has \d+ tokens; with its answer it may have 256/);
});

test('lines of an OpenAI batch file are answered as OpenAI answers them', async () => {
  const line = (id: string, url: string, body: object) => JSON.stringify({ custom_id: id, method: 'POST', url, body });
  const chat = '/v1/chat/completions';
  const messages = [{ role: 'user', content: promptOf(3) }];
  const batch = [
    line('a', chat, { model: 'mine', messages, max_tokens: 6 }),
    line('b', chat, { messages, max_tokens: 5, n: 2, temperature: 3, seed: 9, logprobs: true, top_logprobs: 2 }),
    line('c', '/v1/completions', { prompt: ['in', [1, 2]], max_tokens: 3, logprobs: 1 }),
    line('d', chat, { messages, tools: [{ type: 'function' }] }),
    line('e', '/v1/embeddings', { input: 'x' }),
    line('f', chat, { messages, max_tokens: 6, logit_bias: { 400: 5 } }),
    line('g', chat, { messages, max_tokens: 5, n: 2, temperature: 3, seed: 9 }),
  ];
  writeFileSync(at('batch.jsonl'), `${batch.join('\n')}\n`);
  const { status, stderr } = await run('model', '-i', 'batch.jsonl', '-o', 'batch-out.jsonl');
  assert.equal(status, 65, stderr);
  const [a, b, c, g] = lines('batch-out.jsonl');
  assert.deepEqual(
    [a, b, c, g].map(({ custom_id: id }) => id),
    ['a', 'b', 'c', 'g'],
  );
  const plain = await plainly(promptOf(3), 6);
  assert.deepEqual(a.response.body, {
    ...{ id: 'chatcmpl-0', object: 'chat.completion', created: 0, model: 'mine' },
    choices: [
      { index: 0, message: { role: 'assistant', content: plain.answer }, logprobs: null, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: plain.promptTokens, completion_tokens: 6, total_tokens: plain.promptTokens + 6 },
  });
  assert.equal(b.response.body.model, 'model');
  for (const { logprobs } of b.response.body.choices) {
    assert.equal(logprobs.content.length, 5);
    for (const { logprob, top_logprobs: top } of logprobs.content) {
      assert.ok(logprob <= top[0].logprob && top[0].logprob >= top[1].logprob && top[0].logprob <= 0);
    }
  }
  const contents = (answer: typeof b) => answer.response.body.choices.map((choice: typeof b) => choice.message.content);
  assert.notEqual(contents(b)[0], contents(b)[1]);
  // A line's own seed gives the same answers wherever the line stands.
  assert.deepEqual(contents(g), contents(b));
  assert.deepEqual(
    c.response.body.choices.map((choice: typeof c) => [choice.index, choice.logprobs.tokens.length]),
    [
      [0, 3],
      [1, 3],
    ],
  );
  assert.equal(c.response.body.choices[0].text, (await plainly('in', 3, false)).answer);
  const failed = lines('batch-out.jsonl.errors.jsonl');
  assert.deepEqual(
    failed.map(({ custom_id: id }) => id),
    ['d', 'e', 'f'],
  );
  assert.match(failed[0].error.message, /body\.tools/);
  assert.match(failed[1].error.message, /\/v1\/embeddings/);
  assert.match(failed[2].error.message, /there is no token 400/);
});

test('what cannot be is refused before the model is loaded', async () => {
  const refused: [string[], string, RegExp][] = [
    [['model', '-i', 'prompts.csv', '-o', 'x.npy'], 'TANDEM_OUTPUT_UNSUPPORTED', /answers are texts/],
    [['model', '-i', 'prompts.csv', '-o', 'x.csv', '--column', 'prompts'], 'TANDEM_USAGE', /did you mean prompt\?/],
    [['model', '-i', 'prompts.csv', '-o', 'x.csv', '--top-p', '2'], 'TANDEM_USAGE', /topP 2: it is more than 0/],
    [['model', '-i', 'prompts.csv', '-o', 'x.csv', '--max-length', '999'], 'TANDEM_USAGE', /the model takes 256/],
    [['model', 'hi', '-o', 'x.csv'], 'TANDEM_USAGE', /--output is for prompts of a file/],
    [['model'], 'TANDEM_USAGE', /no prompt is given/],
  ];
  for (const [args, code, says] of refused) {
    assertFails(await run(...args), { status: 2, code, says });
  }
});

test('several answers to a row are lists, and one stage, other slots and groups change none of them', async () => {
  const args = ['model', '-i', 'prompts.csv', '--keep', '', '--n', '2', '--max-tokens', '6', '--temperature', '2'];
  assert.equal((await run(...args, '-o', 'two.jsonl')).status, 0);
  const one = await run(...args, '-o', 'one-stage.jsonl', '--stage', 'cpu,threads=1', '--slots', '3');
  assert.equal(one.status, 0, one.stderr);
  assert.equal(readFileSync(at('one-stage.jsonl'), 'utf8'), readFileSync(at('two.jsonl'), 'utf8'));
  for (const { outputs } of lines('two.jsonl')) {
    assert.deepEqual([outputs.answer.length, outputs.finish_reason.length], [2, 2]);
  }
  assert.ok(lines('two.jsonl').some(({ outputs: { answer } }) => answer[0] !== answer[1]));
  const layers = await run(...args, '-o', 'x.jsonl', '--stage', 'cpu,layers=0..1');
  assertFails(layers, { status: 2, code: 'TANDEM_USAGE', says: /layers=, which stages of a decoder do not take/ });
});

test('answers of a schema in a table, and a schema that nothing keeps', async () => {
  const schema = {
    type: 'object',
    properties: { a: { enum: ['x', 'y'] }, b: { type: 'boolean' } },
    required: ['a', 'b'],
  };
  writeFileSync(at('schema.json'), JSON.stringify(schema));
  const args = ['model', '-i', 'prompts.csv', '--max-tokens', '60', '--temperature', '1'];
  const { status, stderr } = await run(...args, '-o', 'formed.jsonl', '--json-schema', 'schema.json');
  assert.equal(status, 0, stderr);
  for (const { outputs } of lines('formed.jsonl')) {
    assert.equal(outputs.finish_reason, 'stop');
    const { a, b } = JSON.parse(outputs.answer);
    assert.ok(['x', 'y'].includes(a) && typeof b === 'boolean');
  }
  const wrong = await run(...args, '-o', 'y.jsonl', '--json-schema', '{"multipleOf": 3}');
  assertFails(wrong, { status: 2, code: 'TANDEM_USAGE', says: /schema\.multipleOf is not supported/ });
});

test('a program gets the pieces of one answer, which together are its text', async () => {
  const pieces: string[] = [];
  const { text, newTokens, finish } = await generateText(at('model'), promptOf(3), {
    maxTokens: 15,
    onText: (piece) => pieces.push(piece),
  });
  assert.equal(text, (await plainly(promptOf(3), 15)).answer);
  assert.equal(pieces.join(''), text);
  assert.ok(newTokens <= 15 && (finish === 'stop' || newTokens === 15));
  await assert.rejects(generateText(at('model'), 'a', { temprature: 1 } as never), { code: 'TANDEM_USAGE' });
});
