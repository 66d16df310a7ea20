/** An engine of the user's own is given to the library by its module, and workers import it from there. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { engineBuild, usableEngines } from '../../src/engine/choose.js';
import { readRunnable } from '../../src/engine/runnable.js';
import { openPipeline, type PipelineOptions, type RowResult } from '../../src/index.js';
import { isLegalCut, legalCuts } from '../../src/model/cut.js';
import { readModel } from '../../src/model/open.js';
import { readPlanFile, writePlanFile } from '../../src/plan/plan-file.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';

const OWN = new URL('../fixtures/own-engine.js', import.meta.url);
const folder = temporaryFolder();
after(folder.remove);
const model = made(folder.path, 'mlp', { layers: 4, hidden: 16 });
const LOADS = join(folder.path, 'loads');
process.env.TANDEM_TEST_OWN = LOADS;
beforeEach(() => rmSync(LOADS, { force: true }));

async function* rowsOf(): AsyncGenerator<number[]> {
  const width = (await readModel(model)).inputs[0]!.shape[1]!;
  for (let row = 0; row < 20; row++) yield Array.from({ length: width }, (_, n) => Math.sin(row + n));
}

async function answersOf(options: PipelineOptions) {
  await using pipeline = await openPipeline(model, { microBatch: 4, ...options });
  const answers: RowResult[] = [];
  for await (const result of pipeline.run(rowsOf())) answers.push(result);
  return { answers, plan: pipeline.plan };
}

interface Load {
  readonly pid: number;
  readonly provider: string;
  readonly variable: string;
}

function loads(): Load[] {
  return readFileSync(LOADS, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Load);
}

const TWO = [
  { device: 'cpu', threads: 1 },
  { device: 'cpu', threads: 1 },
] as const;

for (const isolation of ['thread', 'process'] as const) {
  test(`its stages compute as ${isolation === 'thread' ? 'threads' : 'processes'}, with its environment and what the default engine gives`, async () => {
    const own = await answersOf({ engine: OWN, isolation, stages: TWO });
    assert.deepEqual(
      own.plan.stages.map(({ engine, provider }) => [engine, provider]),
      [
        [OWN.href, 'mine'],
        [OWN.href, 'mine'],
      ],
    );
    const seen = loads();
    const pids = new Set(seen.map(({ pid }) => pid));
    assert.equal(pids.has(process.pid), isolation === 'thread');
    assert.equal(pids.size, isolation === 'thread' ? 1 : 2);
    for (const { provider, variable } of seen) assert.deepEqual([provider, variable], ['mine', '1']);
    const usual = await answersOf({ isolation, stages: TWO });
    assert.equal(usual.plan.stages[0]!.engine, 'onnxruntime');
    assert.equal(loads().length, seen.length, 'only who asks for it has it');
    assert.deepEqual(own.answers, usual.answers);
  });
}

test('its own description decides: where its stages live, and where the model is cut', async () => {
  const { plan } = await answersOf({ engine: OWN });
  assert.equal(plan.isolation, 'process');
  const [read, runnable] = [await readModel(model), await readRunnable(model, { engine: OWN })];
  const isAdd = (k: number) => read.ops[k]!.type === 'Add';
  assert.ok(legalCuts(read).some(isAdd));
  assert.deepEqual(
    legalCuts(runnable),
    legalCuts(read).filter((k) => !isAdd(k)),
  );
  for (const { from } of runnable.layers.slice(1)) assert.ok(isLegalCut(runnable, from));
});

test('one stage may have it and another one the engine that comes with tandem', async () => {
  const stages = [TWO[0]!, { ...TWO[1]!, provider: 'cpu' }];
  const { plan } = await answersOf({ engine: OWN, stages, isolation: 'process' });
  assert.deepEqual(
    plan.stages.map(({ engine }) => engine),
    [OWN.href, 'onnxruntime'],
  );
  assert.equal(new Set(loads().map(({ pid }) => pid)).size, 1);
});

test('it is named by a URL, a path, or the id of an engine in the list', async () => {
  const path = fileURLToPath(OWN);
  for (const engine of [OWN, OWN.href, path, `./${relative(process.cwd(), path)}`]) {
    assert.equal((await usableEngines('onnx', engine))[0].id, OWN.href);
  }
  assert.equal((await usableEngines('onnx', 'onnxruntime'))[0].id, 'onnxruntime');
  assert.match(engineBuild(OWN.href, 'mine'), /^own-engine\.js \d+-\d+$/);
});

test('a plan with it is read again where it has been given, and refused by name elsewhere', async () => {
  const graph = await readRunnable(model, { engine: OWN });
  const { plan } = await answersOf({ engine: OWN, stages: TWO });
  const file = join(folder.path, 'plan.json');
  writePlanFile(file, graph, plan);
  assert.deepEqual(readPlanFile(file, graph).stages, JSON.parse(JSON.stringify(plan.stages)));
  const elsewhere = readFileSync(file, 'utf8').replaceAll('own-engine.js', 'gone-engine.js');
  writeFileSync(file, elsewhere);
  assert.throws(() => readPlanFile(file, graph), {
    code: 'TANDEM_ENGINE_MISSING',
    message: /gone-engine\.js/,
    remedy: /engine:/,
  });
});

test('what is no engine is refused, with what to give instead', async () => {
  const empty = join(folder.path, 'empty.mjs');
  writeFileSync(empty, 'export const engine = { load() {} };\n');
  const remedy = /engine|load/;
  for (const [engine, code, message] of [
    [pathToFileURL(empty), 'TANDEM_USAGE', /exports no engine/],
    ['./no-such-engine.js', 'TANDEM_ENGINE_MISSING', /cannot be imported/],
    ['no-such-package', 'TANDEM_USAGE', /no engine and no module "no-such-package"/],
    ['tfjs', 'TANDEM_USAGE', /"tfjs" does not run models of the format onnx/],
    [new URL('https://example.org/engine.js'), 'TANDEM_USAGE', /no file/],
  ] as const) {
    await assert.rejects(openPipeline(model, { engine }), {
      code,
      message,
      remedy: code === 'TANDEM_USAGE' && engine === 'tfjs' ? /onnxruntime/ : remedy,
    });
  }
});
