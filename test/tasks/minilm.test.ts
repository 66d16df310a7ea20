/** all-MiniLM-L6-v2, fetched from PyPI and exported here: embeddings within 1e-5 of those that sentence-transformers 6.2 gives (test/fixtures/minilm.json). */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { downloadMinilm, exportMinilm } from '../../scripts/export-minilm.js';
import { embed } from '../../src/job/run-task.js';

const FIXTURE = resolve(import.meta.dirname, '../../../test/fixtures/minilm.json');

interface Reference {
  readonly texts: readonly string[];
  /** The first numbers of each embedding. */
  readonly embeddings: readonly (readonly number[])[];
}

test('embeddings are those of sentence-transformers', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-minilm-'));
  t.after(() => rmSync(folder, { recursive: true }));
  let from: string;
  try {
    from = downloadMinilm(join(folder, 'package'));
  } catch (error) {
    return t.skip(`pip cannot fetch the model: ${(error as Error).message}`);
  }
  const model = exportMinilm(from, join(folder, 'model'));
  const { texts, embeddings } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Reference;
  const [input, output] = [join(folder, 'texts.jsonl'), join(folder, 'out.jsonl')];
  writeFileSync(input, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  const summary = await embed(model, { input, output, plan: 'quick', stages: [{ device: 'cpu' }] });
  assert.equal(summary?.failedRows, 0);
  const lines = readFileSync(output, 'utf8').trim().split('\n');
  assert.equal(lines.length, texts.length);
  for (const [n, line] of lines.entries()) {
    const { embedding } = JSON.parse(line).outputs as { embedding: number[] };
    assert.equal(embedding.length, 384);
    for (const [i, value] of embeddings[n]!.entries()) {
      assert.ok(Math.abs(embedding[i]! - value) <= 1e-5, `text ${n}, number ${i}: ${embedding[i]} and ${value}`);
    }
  }
});
