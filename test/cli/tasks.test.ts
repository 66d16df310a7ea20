/** `tandem embed`, `classify` and `rerank` as a person types them: texts in, results out, the same after a kill, with bad rows told singly. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { openRecords } from '../../src/rows/record-source.js';
import { scoresOf } from '../../src/tasks/classify/scores.js';
import { openTextPreparer, type SelectedText } from '../../src/tasks/texts/text-preparer.js';
import { interruptPaced, PACED, tandemPaced } from './paced-run.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-tasks-'));
const at = (name: string) => join(cwd, name);
const QUICK = ['--isolation', 'thread', '--stage', 'cpu', '-q'];
const SLOW = ['--isolation', 'thread', '--stage', PACED, '-b', '4', '-q'];
const WORDS = 'the a good bad film plot is not very with this and it'.split(' ');
const KINDS = ['ids', 'mask', 'types'] as const;

/** Texts of 0 to 60 words; the model takes 46. */
const textOf = (n: number) =>
  Array.from({ length: (n * 7) % 61 }, (_, k) => WORDS[(n * 5 + k * (1 + (n % 3))) % WORDS.length]).join(' ');

before(() => {
  makeTextModel(at('embedder'));
  makeTextModel(at('classifier'), { kind: 'classify' });
  makeTextModel(at('ranker'), { kind: 'rerank', maxTokens: 40 });
  const texts = Array.from({ length: 300 }, (_, n) => textOf(n));
  writeFileSync(at('texts.csv'), `id,text,stars\n${texts.map((text, n) => `r${n},"${text}",${n % 5}\n`).join('')}`);
  writeFileSync(at('texts.jsonl'), texts.map((text, n) => `${JSON.stringify({ id: `r${n}`, text })}\n`).join(''));
});
after(() => rmSync(cwd, { recursive: true }));

const run = (...args: string[]) => tandem([...args, ...QUICK], { cwd });

/** The model's output for one text, with nothing beside it and no padding. */
async function aloneBy(model: string, limit: number): Promise<(selected: SelectedText) => Promise<ort.Tensor>> {
  const session = await ort.InferenceSession.create(at(`${model}/model.onnx`));
  const preparer = await openTextPreparer({
    ...{
      tokenizer: at(`${model}/tokenizer.json`),
      limit,
      long: { kind: 'cut' },
      prompt: '',
      padId: 0,
      firstPosition: 0,
    },
    ...{ inputs: KINDS.map((kind) => ({ kind, dtype: 'int64' as const, length: null })), vocabulary: null },
  });
  return async (selected) => {
    const { tensors } = await preparer.prepare(selected);
    const [ids, mask, types] = tensors.map(
      ({ data, shape }) => new ort.Tensor('int64', data as BigInt64Array, [1, ...shape]),
    );
    const outputs = await session.run({ input_ids: ids!, attention_mask: mask!, token_type_ids: types! });
    return outputs[session.outputNames[0]!]!;
  };
}

async function embeddingsAlone(): Promise<number[][]> {
  const alone = await aloneBy('embedder', 48);
  const made: number[][] = [];
  for (let n = 0; n < 300; n++) {
    const { data, dims } = await alone(textOf(n));
    const [, tokens, width] = dims as [number, number, number];
    const mean = Array.from({ length: width }, (_, i) => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += (data as Float32Array)[t * width + i]!;
      return sum / tokens;
    });
    const length = Math.hypot(...mean);
    made.push(mean.map((value) => value / length));
  }
  return made;
}

/** An NPY file of floats (`<f4`) or bytes (`|u1`, `|i1`). */
function readNpy(file: string): { readonly shape: readonly number[]; readonly data: ArrayLike<number> } {
  const bytes = readFileSync(at(file));
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)![1]!
    .split(',')
    .filter((dim) => dim.trim() !== '')
    .map(Number);
  const values = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  return { shape, data: header.includes('<f4') ? new Float32Array(values) : new Uint8Array(values) };
}

const near = (a: ArrayLike<number>, b: ArrayLike<number>, within = 2e-6) => {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) <= within, `${a[i]} and ${b[i]} at ${i}`);
};

test('embed: each text of a table has the embedding that it has alone, in every type', async () => {
  const expected = await embeddingsAlone();
  const { status, stderr } = await run('embed', 'embedder', '-i', 'texts.csv', '-o', 'out.npy');
  assert.equal(status, 0, stderr);
  const { shape, data } = readNpy('out.npy');
  assert.deepEqual(shape, [300, 32]);
  near(data, expected.flat());
  assert.equal((await run('embed', 'embedder', '-i', 'texts.jsonl', '-o', 'bits.npy', '--dtype', 'binary')).status, 0);
  const bits = readNpy('bits.npy');
  assert.deepEqual(bits.shape, [300, 4]);
  const sure = expected.flatMap((row) => row.map((value, i) => [value, i] as const));
  for (const [n, [value, i]] of sure.entries()) {
    if (Math.abs(value) < 1e-5) continue;
    const byte = Number(bits.data[Math.floor(n / 32) * 4 + (i >> 3)]);
    assert.equal((byte >> (7 - (i & 7))) & 1, value > 0 ? 1 : 0);
  }
});

test('embed: the first numbers of an embedding have length 1 again', async () => {
  const expected = await embeddingsAlone();
  assert.equal((await run('embed', 'embedder', '-i', 'texts.csv', '-o', 'dims.npy', '--dims', '8')).status, 0);
  const { shape, data } = readNpy('dims.npy');
  assert.deepEqual(shape, [300, 8]);
  const short = expected.map((row) => row.slice(0, 8).map((value) => value / Math.hypot(...row.slice(0, 8))));
  near(data, short.flat());
});

test('embed: what was cut is counted and reported, or such rows fail singly', async () => {
  const loud = ['--isolation', 'thread', '--stage', 'cpu'];
  const { status, stderr } = await tandem(['embed', 'embedder', '-i', 'texts.csv', '-o', 'told.npy', ...loud], { cwd });
  assert.equal(status, 0, stderr);
  const long = Array.from({ length: 300 }, (_, n) => Math.max(0, ((n * 7) % 61) - 46));
  const texts = long.filter((tokens) => tokens > 0).length;
  const tokens = long.reduce((sum, each) => sum + each, 0);
  assert.ok(
    stderr.includes(`${texts} texts had more than 48 tokens: ${tokens} tokens were cut off (see --long)\n`),
    stderr,
  );
  assert.match(stderr, /length: at most 48 tokens \(max_seq_length in sentence_bert_config\.json\)/);
  assert.match(stderr, /embedding: last_hidden_state, mean pooling, normalize \(modules\.json\)/);
  const strict = await run('embed', 'embedder', '-i', 'texts.jsonl', '-o', 'strict.jsonl', '--long', 'error');
  assert.equal(strict.status, 65, strict.stderr);
  const failures = readFileSync(at('strict.jsonl.errors.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(failures.length, texts);
  assert.deepEqual(
    failures.map(({ index }) => index),
    long.flatMap((over, n) => (over > 0 ? [n] : [])),
  );
  assert.match(failures[0].message, /^the text has \d+ tokens, more than the 48 that the model takes$/);
});

test('embed: rows that are no texts fail singly, in their places, and the others are as without them', async () => {
  const rows = [{ text: 'a good film' }, { text: 7 }, { other: 'x' }, { text: 'bad' }];
  writeFileSync(at('some.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  writeFileSync(at('good.jsonl'), [rows[0], rows[3]].map((row) => `${JSON.stringify(row)}\n`).join(''));
  const { status, stderr } = await run(
    'embed',
    'embedder',
    '-i',
    'some.jsonl',
    '--column',
    'text',
    '-o',
    'some.out.jsonl',
  );
  assert.equal(status, 65, stderr);
  assert.equal((await run('embed', 'embedder', '-i', 'good.jsonl', '-o', 'good.out.jsonl')).status, 0);
  const outputs = (file: string) =>
    readFileSync(at(file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).outputs);
  assert.deepEqual(outputs('some.out.jsonl'), outputs('good.out.jsonl'));
  const codes = readFileSync(at('some.out.jsonl.errors.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).code);
  assert.deepEqual(codes, ['TANDEM_ROW_TYPE', 'TANDEM_ROW_INVALID']);
});

test('embed: a run that is killed is resumed with the same bytes, also by tandem resume', async () => {
  const lines = Array.from({ length: 1_500 }, (_, n) => `${JSON.stringify({ text: n % 401 === 3 ? n : textOf(n) })}\n`);
  writeFileSync(at('many.jsonl'), lines.join(''));
  const args = (output: string) => ['embed', 'embedder', '-i', 'many.jsonl', '--column', 'text', '-o', output, ...SLOW];
  assert.equal((await tandemPaced(args('whole.jsonl'), { cwd })).status, 65);
  for (const resume of [args('killed.jsonl'), ['resume', 'killed-2.jsonl', '-q']]) {
    const output = resume[0] === 'resume' ? 'killed-2.jsonl' : 'killed.jsonl';
    assert.equal((await interruptPaced(args(output), { cwd, output, signal: 'SIGKILL' })).status, 137);
    const { status, stderr } = await tandemPaced(resume, { cwd });
    assert.equal(status, 65, stderr);
    for (const file of ['', '.errors.jsonl']) {
      assert.deepEqual(readFileSync(at(`${output}${file}`)), readFileSync(at(`whole.jsonl${file}`)));
    }
  }
});

test('embed: another prompt, or another tokenizer, is another job', async () => {
  const args = ['embed', 'embedder', '-i', 'many.jsonl', '--column', 'text', '-o', 'stopped.jsonl', ...SLOW];
  assert.equal((await interruptPaced(args, { cwd, output: 'stopped.jsonl', signal: 'SIGKILL' })).status, 137);
  assertFails(await tandemPaced([...args, '--prompt', 'film: '], { cwd }), {
    ...{ status: 73, code: 'TANDEM_JOURNAL_MISMATCH' },
    says: /was started with another task/,
  });
});

test('what cannot be is refused by name before anything runs', async () => {
  const cases: [string[], number, string, RegExp][] = [
    [['embed', 'embedder', '--dtype', 'int9'], 2, 'TANDEM_USAGE', /--dtype "int9" is not known/],
    [['embed', 'embedder', '--column', 'txt'], 2, 'TANDEM_USAGE', /did you mean text\?/],
    [['embed', 'embedder', '--model-file', 'q8'], 2, 'TANDEM_MODEL_MISSING', /holds no model_quantized\.onnx/],
    [['embed', 'classifier'], 2, 'TANDEM_MODEL_UNSUPPORTED', /the model returns logits/],
    [['classify', 'embedder'], 2, 'TANDEM_MODEL_UNSUPPORTED', /scores are made of an output named logits/],
    [['rerank', 'classifier'], 2, 'TANDEM_MODEL_UNSUPPORTED', /3 scores for a pair/],
    [['embed', 'embedder', '--long', 'short'], 2, 'TANDEM_USAGE', /--long "short" is not known/],
  ];
  for (const [args, status, code, says] of cases) {
    assertFails(await run(...args, '-i', 'texts.csv', '-o', 'refused.npy'), { status, code, says });
  }
});

test('classify: arrays have the scores of all labels, in their order', async () => {
  const alone = await aloneBy('classifier', 48);
  const { status, stderr } = await run('classify', 'classifier', '-i', 'texts.csv', '-o', 'scores.npy');
  assert.equal(status, 0, stderr);
  const { shape, data } = readNpy('scores.npy');
  assert.deepEqual(shape, [300, 3]);
  for (let n = 0; n < 300; n += 23) {
    const scores = scoresOf((await alone(textOf(n))).data as Float32Array, 'softmax');
    near(Array.from(data).slice(n * 3, n * 3 + 3), scores);
  }
});

test('classify: the best labels by name, one or several, beside the columns of the table', async () => {
  const alone = await aloneBy('classifier', 48);
  const names = ['sad', 'neutral', 'glad'];
  assert.equal((await run('classify', 'classifier', '-i', 'texts.csv', '-o', 'labels.csv')).status, 0);
  assert.equal(
    (await run('classify', 'classifier', '-i', 'texts.jsonl', '--top', '2', '-o', 'labels.jsonl')).status,
    0,
  );
  const [header, ...lines] = readFileSync(at('labels.csv'), 'utf8').trim().split('\n');
  assert.equal(header, 'id,text,stars,score,label');
  const listed = readFileSync(at('labels.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (let n = 0; n < 300; n += 23) {
    const scores = scoresOf((await alone(textOf(n))).data as Float32Array, 'softmax');
    const order = [0, 1, 2].sort((a, b) => scores[b]! - scores[a]!);
    const [id, , stars, score, label] = lines[n]!.split(',');
    assert.deepEqual([id, stars, label], [`r${n}`, String(n % 5), names[order[0]!]]);
    near([Number(score)], [scores[order[0]!]!]);
    const { outputs } = listed[n];
    assert.deepEqual(outputs.label, [names[order[0]!], names[order[1]!]]);
    near(outputs.score, [scores[order[0]!]!, scores[order[1]!]!]);
  }
});

test('rerank: each pair has its score, as it has it alone', async () => {
  const pairs = Array.from({ length: 120 }, (_, n) => [textOf(n % 4), textOf(n + 3)] as const);
  writeFileSync(at('pairs.csv'), `q,d\n${pairs.map(([q, d]) => `${q},${d}\n`).join('')}`);
  const { status, stderr } = await run(
    'rerank',
    'ranker',
    '-i',
    'pairs.csv',
    '--query',
    'q',
    '--document',
    'd',
    '-o',
    'ranks.npy',
  );
  assert.equal(status, 0, stderr);
  const alone = await aloneBy('ranker', 40);
  const { shape, data } = readNpy('ranks.npy');
  assert.deepEqual(shape, [120]);
  for (const [n, pair] of pairs.entries())
    near([data[n]!], scoresOf((await alone(pair)).data as Float32Array, 'sigmoid'));
});

test('embed: a text that is split has the mean of its parts, and repeated texts may be computed once: same bytes', async () => {
  const rows = Array.from({ length: 400 }, (_, n) => ({ text: textOf((n * 3) % 40) }));
  writeFileSync(at('repeats.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const args = ['embed', 'embedder', '-i', 'repeats.jsonl', '--long', 'split:16,overlap=4'];
  assert.equal((await run(...args, '-o', 'each.npy')).status, 0);
  const once = await tandem([...args, '--dedupe', '-o', 'once.npy', ...QUICK, '--json'], { cwd });
  assert.equal(once.status, 0, once.stderr);
  assert.deepEqual(readFileSync(at('once.npy')), readFileSync(at('each.npy')));
  const { shape, data } = readNpy('each.npy');
  assert.deepEqual(shape, [400, 32]);
  const alone = await aloneBy('embedder', 48);
  const words = rows[5]!.text.split(' ');
  const parts: string[] = [];
  for (let start = 0; start === 0 || start + 4 < words.length; start += 10)
    parts.push(words.slice(start, start + 14).join(' '));
  const sum = new Array(32).fill(0);
  for (const part of parts) {
    const { data: values, dims } = await alone(part);
    const [, tokens, width] = dims as [number, number, number];
    const mean = Array.from({ length: width }, (_, i) => {
      let total = 0;
      for (let t = 0; t < tokens; t++) total += (values as Float32Array)[t * width + i]!;
      return total / tokens;
    });
    const length = Math.hypot(...mean);
    for (const [i, value] of mean.entries()) sum[i] += (tokens * value) / length;
  }
  const length = Math.hypot(...sum);
  assert.ok(parts.length > 1, 'it is split');
  near(
    Array.from(data).slice(5 * 32, 6 * 32),
    sum.map((value) => value / length),
  );
});

test('embed: lines of an OpenAI batch file are answered as OpenAI answers them', async () => {
  const line = (id: string, body: unknown) => ({ custom_id: id, method: 'POST', url: '/v1/embeddings', body });
  const lines = [
    line('a', { model: 'mine', input: 'a good film' }),
    line('b', { model: 'mine', input: ['a good film', 'bad'], encoding_format: 'base64', dimensions: 8 }),
    line('c', {
      input: [
        [2, 7, 3],
        [2, 3],
      ],
    }),
    line('d', { input: [2, 7, 3] }),
    line('e', { input: 7 }),
    line('f', { input: 'x', dimensions: 1000 }),
    line('g', { input: 'x', encoding_format: 'hex' }),
  ];
  writeFileSync(at('batch.jsonl'), lines.map((each) => `${JSON.stringify(each)}\n`).join(''));
  const { status, stderr } = await run('embed', 'embedder', '-i', 'batch.jsonl', '-o', 'answers.jsonl');
  assert.equal(status, 65, stderr);
  const answers = readFileSync(at('answers.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
  assert.deepEqual(
    answers.map(({ custom_id }) => custom_id),
    ['a', 'b', 'c', 'd'],
  );
  const [a, b, c, d] = answers.map(({ response, error }) => {
    assert.equal(error, null);
    assert.equal(response.status_code, 200);
    return response.body;
  });
  assert.deepEqual(
    { ...a, data: 0 },
    { object: 'list', data: 0, model: 'mine', usage: { prompt_tokens: 5, total_tokens: 5 } },
  );
  assert.deepEqual(
    a.data.map(({ object, index, embedding }: never) => [object, index, (embedding as number[]).length]),
    [['embedding', 0, 32]],
  );
  assert.equal(b.usage.total_tokens, 8);
  const bytes = Buffer.from(b.data[0].embedding, 'base64');
  const eight = Array.from({ length: 8 }, (_, i) => bytes.readFloatLE(i * 4));
  const first = a.data[0].embedding.slice(0, 8) as number[];
  near(
    eight,
    first.map((value) => value / Math.hypot(...first)),
  );
  assert.deepEqual(
    c.data.map(({ index }: { index: number }) => index),
    [0, 1],
  );
  assert.equal(c.model, 'embedder');
  assert.deepEqual(d.data[0].embedding, c.data[0].embedding);
  const errors = readFileSync(at('answers.jsonl.errors.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
  assert.deepEqual(
    errors.map(({ custom_id, response, error }) => [custom_id, response, error.code, error.message]),
    [
      ['e', null, 'TANDEM_ROW_TYPE', 'body.input is no string'],
      ['f', null, 'TANDEM_ROW_INVALID', 'body.dimensions is more than 32'],
      ['g', null, 'TANDEM_ROW_INVALID', 'body.encoding_format is "hex"; it is "float" or "base64"'],
    ],
  );
});

test('embed: a window of rows of which none is good is passed over, in arrays too', async () => {
  const rows = Array.from({ length: 1_300 }, (_, n) => ({ text: n < 1_100 ? n : 'a film' }));
  writeFileSync(at('bad-first.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  for (const output of ['bad-first.npy', 'bad-first.out.jsonl']) {
    const { status, stderr } = await run('embed', 'embedder', '-i', 'bad-first.jsonl', '-o', output);
    assert.equal(status, 65, stderr);
  }
  assert.deepEqual(readNpy('bad-first.npy').shape, [1_300, 32]);
});

test('embed: rows are padded to no more than the positions that a model has', async () => {
  makeTextModel(at('short'), { positions: 50, maxTokens: 50 });
  const { status, stderr } = await run('embed', 'short', '-i', 'texts.csv', '-o', 'short.npy');
  assert.equal(status, 0, stderr);
});

test('a table of texts becomes a table with all its columns and the result beside them', async () => {
  const made = await run('embed', 'embedder', '-i', 'texts.csv', '-o', 'emb.parquet');
  assert.equal(made.status, 0, made.stderr);
  const [texts, table] = await Promise.all(
    ['texts.csv', 'emb.parquet'].map(async (name) => {
      const source = await openRecords([at(name)]);
      const { records } = await source.read(10_000);
      await source.close();
      return { records, columns: source.columns! };
    }),
  );
  assert.deepEqual(
    table!.columns.slice(0, 3).map(({ name }) => name),
    ['id', 'text', 'stars'],
  );
  assert.equal(table!.columns[3]!.type, 'list<float32>');
  assert.deepEqual(
    table!.records.map(({ text }) => text),
    texts!.records.map(({ text }) => text),
  );
  assert.ok(table!.records.every((record) => (Object.values(record)[3] as Float32Array).length > 0));
});
