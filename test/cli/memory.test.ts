/** Memory is bounded by the depth of the pipeline, not by the length of the job. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeRows } from '../../scripts/make-rows.js';
import type { Summary } from '../../src/job/summary.js';
import { tandem } from './tandem-process.js';

const WIDTH = 16;
const FEW = 1000;
const MANY = 250_000;
/** V8 lets its young objects grow to three semi-spaces of 16 MiB before it looks; the rest is for what is read ahead. */
const BOUND = 64 * 2 ** 20;

const cwd = mkdtempSync(join(tmpdir(), 'tandem-memory-'));
before(() => makeModel('mlp', join(cwd, 'mlp'), { width: 4, blocks: 1, length: WIDTH }));
after(() => rmSync(cwd, { recursive: true }));

/** Peak of the process that reads, leads and writes, and of the one that computes. */
async function peaks(rows: number): Promise<{ coordinator: number; stage: number }> {
  const input = `${rows}.jsonl`;
  makeRows(join(cwd, input), rows, [WIDTH]);
  const args = ['-i', input, '-o', `${rows}-out.jsonl`, '-b', '500', '-s', 'cpu,threads=1', '--isolation', 'process'];
  const { status, stdout, stderr } = await tandem(['run', 'mlp', ...args, '--json', '-q'], { cwd });
  assert.equal(status, 0, stderr);
  const summary: Summary = JSON.parse(String(stdout));
  assert.equal(summary.rows, rows);
  const stage = summary.stages[0]!.peakRssBytes!;
  return { coordinator: summary.peakRssBytes - stage, stage };
}

test('a job of 250,000 rows needs no more than one of 1,000', async (t) => {
  const few = await peaks(FEW);
  const many = await peaks(MANY);
  for (const process of ['coordinator', 'stage'] as const) {
    t.diagnostic(`${process}: ${few[process]} and ${many[process]} bytes`);
    assert.ok(many[process] - few[process] < BOUND, `the ${process} held ${few[process]}, then ${many[process]}`);
  }
  const read = statSync(join(cwd, `${MANY}.jsonl`)).size;
  assert.ok(read > BOUND, 'so the rows themselves would not have fitted');
});
