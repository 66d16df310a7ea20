/** An engine of the user's own in the library's other calls: runFile with its journal, planModel, inspectModel. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { inspectModel, planModel, type RunFileOptions, runFile } from '../../src/index.js';
import { tandem } from '../cli/tandem-process.js';

const OWN = new URL('../fixtures/own-engine.js', import.meta.url);
const ROWS = 64;
const folder = mkdtempSync(join(tmpdir(), 'tandem-own-engine-'));
const at = (name: string) => join(folder, name);
const bytesOf = (name: string) => readFileSync(at(name), 'utf8');
const LOADS = at('loads');
process.env.TANDEM_TEST_OWN = LOADS;
/** One line for each slice that the engine of the fixture loaded. */
const loads = () => readFileSync(LOADS, 'utf8').trimEnd().split('\n').length;

const STAGE = { device: 'cpu', threads: 1 } as const;
const SMALL = { stages: [STAGE, STAGE], microBatch: 2, depth: 2, plan: 'quick', isolation: 'thread' } as const;
const options = (output: string): RunFileOptions => ({ ...SMALL, input: at('rows.jsonl'), output: at(output) });

/** The module of another engine that computes the same. */
function moduleAt(name: string, comment = ''): URL {
  writeFileSync(at(name), `${comment}export { about, engine } from ${JSON.stringify(OWN.href)};\n`);
  return pathToFileURL(at(name));
}

before(async () => {
  makeOnnx('mlp', at('mlp'), { layers: 3, hidden: 16 });
  makeRows(at('rows.jsonl'), ROWS, [16]);
  await runFile(at('mlp'), options('expected.jsonl'));
});
beforeEach(() => writeFileSync(LOADS, ''));
after(() => rmSync(folder, { recursive: true }));

/** Runs the first micro-batches of a job, and stops it. */
async function stopped(output: string, engine: string | URL): Promise<void> {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const run = runFile(at('mlp'), { ...options(output), engine, onProgress, signal: controller.signal });
  await assert.rejects(run, { name: 'AbortError' });
}

test('a file runs through it, whether the stages are cut by tandem or started before the model is read', async () => {
  const named = {
    ...SMALL,
    stages: [
      { ...STAGE, layers: { from: 0, to: 1 } },
      { ...STAGE, layers: { from: 2, to: 2 } },
    ],
  };
  for (const [output, asked] of Object.entries({ 'cut.jsonl': SMALL, 'named.jsonl': named })) {
    writeFileSync(LOADS, '');
    const summary = await runFile(at('mlp'), { ...options(output), ...asked, engine: OWN });
    assert.deepEqual(
      summary!.stages.map(({ provider }) => provider),
      ['mine', 'mine'],
    );
    assert.equal(loads(), 2);
    assert.equal(bytesOf(output), bytesOf('expected.jsonl'));
  }
});

test('its job is resumed with the same engine, and with no other', async () => {
  const engine = moduleAt('mine.mjs');
  await stopped('job.jsonl', engine);
  const refused = (message: RegExp) => ({ code: 'TANDEM_JOURNAL_MISMATCH', message });
  await assert.rejects(runFile(at('mlp'), options('job.jsonl')), refused(/engine: file:.*mine\.mjs.* then, none now/));
  const other = moduleAt('other.mjs');
  await assert.rejects(
    runFile(at('mlp'), { ...options('job.jsonl'), engine: other }),
    refused(/engine: file:.*mine\.mjs.* then, file:.*other\.mjs.* now/),
  );
  const resume = await tandem(['resume', at('job.jsonl')], { cwd: folder });
  assert.equal(resume.status, 73, resume.stderr);
  assert.match(resume.stderr, /mine\.mjs.*\[TANDEM_JOURNAL_MISMATCH\]\n.*runFile/);
  renameSync(at('mine.mjs'), at('kept.mjs'));
  moduleAt('mine.mjs', '// another version\n');
  await assert.rejects(
    runFile(at('mlp'), { ...options('job.jsonl'), engine }),
    refused(/mine\.mjs, \d+ bytes, sha256/),
  );
  await assert.rejects(runFile(at('mlp'), { ...options('job.jsonl'), engine: './no-engine.mjs' }), {
    code: 'TANDEM_ENGINE_MISSING',
    message: /no-engine\.mjs/,
  });
  renameSync(at('kept.mjs'), at('mine.mjs'));
  assert.equal((await runFile(at('mlp'), { ...options('job.jsonl'), engine }))?.rows, ROWS);
  assert.equal(bytesOf('job.jsonl'), bytesOf('expected.jsonl'));
});

test('a job with an engine that comes with tandem is resumed by the command too', async () => {
  await stopped('listed.jsonl', 'onnxruntime');
  const { status, stderr } = await tandem(['resume', at('listed.jsonl')], { cwd: folder });
  assert.equal(status, 0, stderr);
  assert.equal(bytesOf('listed.jsonl'), bytesOf('expected.jsonl'));
});

test('a plan is measured with it, and a file runs by that plan', async () => {
  const output = at('plan.json');
  const plan = await planModel(at('mlp'), { engine: OWN, stages: SMALL.stages, microBatch: 2, output });
  assert.deepEqual([...new Set(plan.stages.map(({ engine }) => engine))], [OWN.href]);
  assert.ok(loads() > 0);
  const run = { ...options('planned.jsonl'), stages: undefined, depth: undefined, isolation: undefined };
  const summary = await runFile(at('mlp'), { ...run, plan: at('plan.json') as `${string}.json`, engine: OWN });
  assert.ok(summary!.stages.every(({ provider }) => provider === 'mine'));
  assert.equal(bytesOf('planned.jsonl'), bytesOf('expected.jsonl'));
});

test('what it forbids shows in the inspection', async () => {
  const text = `export { engine } from ${JSON.stringify(OWN.href)};
export const about = { formats: ['onnx'], forbiddenCuts: async ({ ops }) => new Set(ops.keys()) };
`;
  writeFileSync(at('uncut.mjs'), text);
  const layersOf = async (engine?: string) => (await inspectModel(at('mlp'), { engine })).layers.length;
  assert.deepEqual([await layersOf(at('uncut.mjs')), await layersOf()], [1, 3]);
});
