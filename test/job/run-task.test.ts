/** Tasks from TypeScript: the same files as from the command line, and options held to what there is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { classify, embed, rerank } from '../../src/job/run-task.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-run-task-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const stages = [{ device: 'cpu' as const }];
const linesOf = (name: string) =>
  readFileSync(at(name), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

writeFileSync(at('rows.jsonl'), '{"id":"a","text":"a good film"}\n{"id":"b","text":"bad","query":"x"}\n');
writeFileSync(at('pairs.jsonl'), '{"q":"is it good","d":"a good film"}\n{"q":"is it good","d":"bad"}\n');

test('embed, classify and rerank write what they are named for, and report the run', async () => {
  makeTextModel(at('embedder'));
  makeTextModel(at('classifier'), { kind: 'classify' });
  makeTextModel(at('ranker'), { kind: 'rerank' });
  const notices: string[] = [];
  const input = at('rows.jsonl');
  const told = { stages, plan: 'quick' as const, onNotice: (text: string) => void notices.push(text) };
  const done = await embed(at('embedder'), { ...told, input, output: at('e.jsonl'), dims: 4, column: 'text' });
  assert.equal(done?.rows, 2);
  assert.deepEqual(
    linesOf('e.jsonl').map(({ id, outputs }) => [id, outputs.embedding.length]),
    [
      ['a', 4],
      ['b', 4],
    ],
  );
  assert.ok(
    notices.some((text) => text.startsWith('embedding: last_hidden_state, mean pooling')),
    notices.join('\n'),
  );
  await classify(at('classifier'), { ...told, input, output: at('c.jsonl'), top: 3, column: 'text' });
  for (const { outputs } of linesOf('c.jsonl')) {
    assert.deepEqual([...outputs.label].sort(), ['glad', 'neutral', 'sad']);
    assert.ok(Math.abs(outputs.score.reduce((sum: number, score: number) => sum + score, 0) - 1) < 1e-6);
  }
  await rerank(at('ranker'), { ...told, input: at('pairs.jsonl'), output: at('r.jsonl'), query: 'q', document: 'd' });
  for (const { outputs } of linesOf('r.jsonl')) assert.ok(outputs.score > 0 && outputs.score < 1);
});

test('options that a task does not have are refused by name', async () => {
  const rows = { input: at('rows.jsonl'), output: at('no.jsonl') };
  await assert.rejects(embed('x', { ...rows, top: 3 } as never), { code: 'TANDEM_USAGE', message: /embed: .*"top"/ });
  await assert.rejects(embed('x', { ...rows, dtype: 'int4' } as never), { code: 'TANDEM_USAGE', message: /dtype/ });
  await assert.rejects(rerank('x', { ...rows, prompt: 'x' } as never), { code: 'TANDEM_USAGE', message: /"prompt"/ });
  await assert.rejects(classify('x', { ...rows, top: 0 }), { code: 'TANDEM_USAGE', message: /top/ });
});
