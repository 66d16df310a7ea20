/** Lines of an OpenAI batch file that ask for scores, as a person gives them to `tandem rerank` and `tandem classify`: answered as vLLM's server does. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-batch-scores-'));
const at = (name: string) => join(cwd, name);
const run = (...args: string[]) => tandem([...args, '--isolation', 'thread', '--stage', 'cpu', '-q'], { cwd });
const QUERY = 'is the film good';
const DOCUMENTS = ['the plot is bad', 'a good film', 'and it is not very good with this plot'];

before(() => {
  makeTextModel(at('classifier'), { kind: 'classify' });
  makeTextModel(at('ranker'), { kind: 'rerank' });
});
after(() => rmSync(cwd, { recursive: true }));

const linesOf = (file: string) =>
  readFileSync(at(file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

function writeLines(file: string, rows: readonly unknown[]): void {
  writeFileSync(at(file), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

const line = (id: string, url: string, body: unknown) => ({ custom_id: id, method: 'POST', url, body });

test('rerank: a query and its documents, the best first, with the scores that the pairs have alone', async () => {
  writeLines(
    'pairs.jsonl',
    DOCUMENTS.map((document) => ({ query: QUERY, document })),
  );
  assert.equal((await run('rerank', 'ranker', '-i', 'pairs.jsonl', '-o', 'alone.jsonl')).status, 0);
  const alone = linesOf('alone.jsonl').map(({ outputs }) => Math.fround(outputs.score) as number);
  assert.equal(new Set(alone).size, 3);
  writeLines('batch.jsonl', [
    line('all', '/v1/rerank', { model: 'mine', query: QUERY, documents: DOCUMENTS }),
    line('top', '/v1/rerank', {
      ...{ query: QUERY, documents: DOCUMENTS.map((text) => ({ text })), top_n: 2, return_documents: false },
    }),
    line('score', '/v1/score', { text_1: QUERY, text_2: DOCUMENTS }),
    line('each', '/v1/score', { text_1: [QUERY, QUERY], text_2: DOCUMENTS.slice(0, 2) }),
    line('one', '/v1/score', { text_1: QUERY, text_2: DOCUMENTS[1] }),
    line('none', '/v1/rerank', { query: QUERY }),
    line('type', '/v1/rerank', { query: QUERY, documents: ['x', 7] }),
    line('sides', '/v1/score', { text_1: ['a', 'b'], text_2: ['a', 'b', 'c'] }),
    line('count', '/v1/rerank', { query: QUERY, documents: ['x'], top_n: 1.5 }),
    line('other', '/v1/embeddings', { input: 'x' }),
  ]);
  const { status, stderr } = await run('rerank', 'ranker', '-i', 'batch.jsonl', '-o', 'answers.jsonl');
  assert.equal(status, 65, stderr);
  const answers = linesOf('answers.jsonl');
  assert.deepEqual(
    answers.map(({ custom_id, error, response }) => [custom_id, error, response.status_code]),
    ['all', 'top', 'score', 'each', 'one'].map((id) => [id, null, 200]),
  );
  const [all, top, score, each, one] = answers.map(({ response }) => response.body);
  const order = [0, 1, 2].sort((a, b) => alone[b]! - alone[a]!);
  const near = (found: number, n: number) => assert.ok(Math.abs(found - alone[n]!) < 1e-6, `${found} ${alone[n]}`);
  assert.equal(all.model, 'mine');
  assert.deepEqual(
    all.results.map(({ index, document }: { index: number; document: object }) => [index, document]),
    order.map((n) => [n, { text: DOCUMENTS[n] }]),
  );
  for (const { index, relevance_score } of all.results) near(relevance_score, index);
  assert.equal(top.model, 'ranker');
  assert.deepEqual(
    top.results,
    all.results.slice(0, 2).map(({ document: _, ...rest }: { document: object }) => rest),
  );
  assert.deepEqual(top.usage, all.usage);
  assert.equal(score.object, 'list');
  assert.deepEqual(
    score.data.map(({ index, object }: never) => [index, object]),
    [0, 1, 2].map((n) => [n, 'score']),
  );
  for (const { index, score: found } of score.data) near(found, index);
  assert.deepEqual(score.usage, all.usage);
  for (const { index, score: found } of each.data) near(found, index);
  assert.equal(each.data.length, 2);
  near(one.data[0].score, 1);
  assert.ok(one.usage.prompt_tokens > 0 && one.usage.prompt_tokens < each.usage.prompt_tokens);
  assert.deepEqual(
    linesOf('answers.jsonl.errors.jsonl').map(({ custom_id, response, error }) => [custom_id, response, error]),
    [
      ['none', null, { code: 'TANDEM_ROW_TYPE', message: 'body.documents is no list' }],
      ['type', null, { code: 'TANDEM_ROW_TYPE', message: 'body.documents[1] is no string' }],
      [
        ...['sides', null],
        {
          code: 'TANDEM_ROW_INVALID',
          message: 'body.text_1 has 2 texts and body.text_2 has 3: give one, or as many',
        },
      ],
      ['count', null, { code: 'TANDEM_ROW_INVALID', message: 'body.top_n is not a count' }],
      [
        ...['other', null],
        { code: 'TANDEM_ROW_INVALID', message: 'body has neither query and documents nor text_1 and text_2' },
      ],
    ],
  );
});

test('classify: each text of a line has its label and the scores of all, as it has them alone', async () => {
  writeLines(
    'texts.jsonl',
    DOCUMENTS.map((text) => ({ text })),
  );
  assert.equal((await run('classify', 'classifier', '-i', 'texts.jsonl', '-o', 'labels.jsonl')).status, 0);
  const alone = linesOf('labels.jsonl').map(({ outputs }) => outputs as { label: string; score: number });
  writeLines('classes.jsonl', [
    line('several', '/classify', { input: DOCUMENTS }),
    line('one', '/classify', { model: 'mine', input: DOCUMENTS[1] }),
    line('ids', '/classify', { input: [2, 7, 3] }),
    line('bad', '/classify', { input: {} }),
  ]);
  const { status, stderr } = await run('classify', 'classifier', '-i', 'classes.jsonl', '-o', 'classes.out.jsonl');
  assert.equal(status, 65, stderr);
  const [several, one, ids] = linesOf('classes.out.jsonl').map(({ response }) => response.body);
  for (const [n, { index, label, probs, num_classes: count }] of several.data.entries()) {
    assert.deepEqual([index, label, count, probs.length], [n, alone[n]!.label, 3, 3]);
    assert.ok(Math.abs(Math.max(...probs) - alone[n]!.score) < 1e-6);
    assert.ok(Math.abs(probs.reduce((sum: number, each: number) => sum + each, 0) - 1) < 1e-5);
  }
  assert.deepEqual(one.data, [{ ...several.data[1], index: 0 }]);
  assert.equal(one.model, 'mine');
  assert.deepEqual([ids.data.length, ids.usage.total_tokens], [1, 3]);
  assert.deepEqual(
    linesOf('classes.out.jsonl.errors.jsonl').map(({ custom_id, error }) => [custom_id, error.message]),
    [['bad', 'body.input is no string']],
  );
});
