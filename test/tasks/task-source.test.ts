/** Rows of a task: records of a real file, tokenised in workers, in input order, with every failure in its place. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { openGiven } from '../../src/rows/given-values.js';
import type { RaggedRead } from '../../src/rows/ragged-source.js';
import { openRecords } from '../../src/rows/record-source.js';
import { readModelFolder } from '../../src/tasks/model-folder/model-folder.js';
import type { TaskRequest } from '../../src/tasks/task-request.js';
import { TaskSource } from '../../src/tasks/task-source.js';
import { textTask } from '../../src/tasks/text-task.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-task-source-'));
after(() => rmSync(folder, { recursive: true }));
makeTextModel(folder, { maxTokens: 10 });

async function open(t: TestContext, file: string, text: string, request: Partial<TaskRequest> = {}, firstRow = 0) {
  const path = join(folder, file);
  writeFileSync(path, text);
  const found = await readModelFolder(folder);
  const graph = await openGiven(found.modelFile, {});
  const records = await openRecords([path], { firstRow });
  const parts = { folder: found, graph, columns: records.columns, holdsTexts: true };
  const task = await textTask({ request: { name: 'embed', ...request }, ...parts }).catch(async (error) => {
    await records.close();
    throw error;
  });
  const source = new TaskSource({ records, task, threads: 2, firstRow });
  t.after(() => source.close());
  return source;
}

const lengthsOf = ({ good }: RaggedRead) => good.map(({ tensors }) => tensors[0]!.shape[0]);

test('rows come in order with their lengths, and a survey does not move the place', async (t) => {
  const words = (n: number) => Array(n).fill('film').join(' ');
  const lines = Array.from({ length: 500 }, (_, n) => `${n},${words(n % 7)}`);
  const source = await open(t, 'rows.csv', `id,text\n${lines.join('\n')}\n`);
  const survey = await source.survey();
  assert.equal(survey.isWhole, true);
  assert.equal(survey.limit, 10);
  assert.deepEqual(
    [...survey.lengths].sort(),
    [...survey.lengths.keys()].sort().map((length) => [length, length < 5 ? 72 : 71]),
  );
  const first = await source.read(300);
  const second = await source.read(300);
  assert.deepEqual([first.rows, second.rows, (await source.read(300)).rows], [300, 200, 0]);
  assert.deepEqual(
    [...lengthsOf(first), ...lengthsOf(second)],
    lines.map((_, n) => 2 + (n % 7)),
  );
  assert.deepEqual(second.good.map(({ index }) => index).slice(0, 2), [300, 301]);
  assert.equal(second.ids![0], '300');
});

test('rows without a text, or with something else there, fail singly; long ones are counted', async (t) => {
  const rows = [
    { text: 'a film' },
    { other: 'x', id: 'b' },
    { text: 7 },
    { text: 'a b c d e f g h i j k l' },
    { text: 'is it' },
  ];
  const source = await open(t, 'rows.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join(''), {
    column: 'text',
  });
  const read = await source.read(10);
  assert.deepEqual(lengthsOf(read), [4, 10, 4]);
  assert.deepEqual(
    read.failures.map(({ index, id, code, message }) => [index, id, code, message]),
    [
      [1, 'b', 'TANDEM_ROW_INVALID', 'row.text is missing'],
      [2, 2, 'TANDEM_ROW_TYPE', 'row.text is a number; a text is a string'],
    ],
  );
  assert.deepEqual(
    [...source.counts],
    [
      ['texts cut', 1],
      ['tokens cut', 4],
    ],
  );
});

test('it resumes at a row, and a column that is not there is named before anything runs', async (t) => {
  const text = 'review,stars\na film,1\nis it good,2\nbad,3\n';
  const source = await open(t, 'reviews.csv', text, { column: 'review' }, 1);
  const read = await source.read(10);
  assert.deepEqual(
    read.good.map(({ index }) => index),
    [1, 2],
  );
  assert.deepEqual(lengthsOf(read), [5, 3]);
  await assert.rejects(open(t, 'reviews.csv', text, { column: 'reviews' }), {
    code: 'TANDEM_USAGE',
    remedy: 'did you mean review? they have review, stars',
  });
  await assert.rejects(open(t, 'reviews.csv', text), { code: 'TANDEM_USAGE', message: /which column has the texts/ });
});
