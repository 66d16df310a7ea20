/** `tandem run` on JSON lines whose rows differ in length: each row's answer is the one that it has alone, in whatever micro-batch it was. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { tableFromJSON, tableToIPC } from 'apache-arrow';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeTextModel } from '../../scripts/make-text-model.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { readOnnxModel } from '../../src/model/onnx.js';
import { seeded } from '../../src/prove/models/seeded.js';
import type { Tensor } from '../../src/tensor.js';
import { openWhole, runWhole } from '../fixtures/onnx-runs.js';
import { raggedLengths } from '../fixtures/ragged-lengths.js';
import { interruptPaced, PACED, tandemPaced } from './paced-run.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-ragged-'));
const at = (name: string) => join(cwd, name);
const run = (...args: string[]) => tandem(['run', ...args], { cwd });
const TWO = ['--stage', 'cpu,threads=1', '--stage', 'cpu,threads=1'];
const ONE = ['--stage', 'cpu,threads=1', '--isolation', 'thread'];

interface Line {
  readonly id: number | string;
  readonly outputs: Readonly<Record<string, number[] | number[][]>>;
}
const linesOf = (name: string): Line[] =>
  readFileSync(at(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Rows of ids below 50, between 1 and 32 long. */
function idsOf(rows: number, seed = 7): number[][] {
  const next = seeded(seed);
  const lengths = raggedLengths(rows, { median: 9, mean: 12, most: 32 }, seed);
  return lengths.map((length) => Array.from({ length }, () => Math.floor(next() * 50)));
}

function writeIds(name: string, rows: readonly (readonly number[])[]): void {
  const lines = rows.map((ids, n) => JSON.stringify({ id: `r${n}`, inputs: { input_ids: ids } }));
  writeFileSync(at(name), `${lines.join('\n')}\n`);
}

type Answers = Map<string, Tensor>[];

/** The answer of each row by itself, from onnxruntime alone. */
async function alone(model: string, rows: readonly (readonly number[])[]): Promise<Answers> {
  const graph: ModelGraph = await readOnnxModel(at(`${model}/model.onnx`));
  const whole = await openWhole(graph);
  const answers: Answers = [];
  for (const ids of rows) {
    const feeds = graph.inputs.map(({ name, dtype }) => {
      const values = ids.map((id) => BigInt(name === 'input_ids' ? id : 1));
      return { dtype, shape: [1, ids.length], data: BigInt64Array.from(values) };
    });
    const outputs = await whole.run(feeds);
    answers.push(new Map(graph.outputs.map((name, n) => [name, outputs[n]!])));
  }
  await whole.close();
  return answers;
}

/** Those of ROWS; made once. */
let transformerAlone: Promise<Answers> | undefined;
function allAlone(): Promise<Answers> {
  transformerAlone ??= alone('transformer', ROWS);
  return transformerAlone;
}

/** Within the engine's tolerance: sums over padding and other numbers of rows are added up in another order. */
function assertNear(lines: readonly Line[], expected: readonly Map<string, Tensor>[]): void {
  assert.equal(lines.length, expected.length);
  for (const [n, { outputs }] of lines.entries()) {
    for (const [name, { data }] of expected[n]!) {
      const got = outputs[name]!.flat();
      assert.equal(got.length, data.length, `row ${n}, ${name}`);
      for (const [i, value] of got.entries()) {
        assert.ok(Math.abs(value - Number(data[i])) < 2e-5, `row ${n}, ${name}[${i}]: ${value}, alone ${data[i]}`);
      }
    }
  }
}

const ROWS = idsOf(300);
before(() => {
  for (const model of ['transformer', 'unmasked', 'mask-ignored', 'rows-see-rows']) makeOnnx(model, at(model));
  writeIds('ids.jsonl', ROWS);
});
after(() => rmSync(cwd, { recursive: true }));

suite('rows that differ in length', { concurrency: 2 }, () => {
  for (const [how, ...flags] of [
    ['one stage as threads', ...ONE],
    ['two stages as threads', ...TWO, '--isolation', 'thread'],
    ['two stages as processes', ...TWO, '--isolation', 'process'],
    ['three stages, few rows at once', '--stage', 'cpu', '--stage', 'cpu', '--stage', 'cpu', '-b', '4'],
  ]) {
    test(`have the answers that they have alone, each as long as its row: ${how}`, async () => {
      const output = `${how!.replaceAll(' ', '-')}.jsonl`;
      const { status, stderr } = await run('transformer', '-i', 'ids.jsonl', '-o', output, ...flags);
      assert.equal(status, 0, stderr);
      const lines = linesOf(output);
      assert.deepEqual(
        lines.map(({ id }) => id),
        ROWS.map((_, n) => `r${n}`),
      );
      assert.deepEqual(
        lines.map(({ outputs }) => outputs.last_hidden_state!.length),
        ROWS.map((ids) => ids.length),
      );
      assertNear(lines, await allAlone());
      assert.match(stderr, /rows are 1 to 32 long, [\d,]+ tokens in 300 rows; \d+ % of what is computed is padding/);
    });
  }

  test('are never longer than the model has positions', async () => {
    makeOnnx('transformer', at('positions'), { positions: 30 });
    const rows = [ROWS.flat().slice(0, 30), ROWS.flat().slice(0, 29), [1, 2, 3]];
    writeIds('as-long.jsonl', rows);
    const { status, stderr } = await run('positions', '-i', 'as-long.jsonl', '-o', 'as-long-out.jsonl', ...ONE);
    assert.equal(status, 0, stderr);
    assertNear(linesOf('as-long-out.jsonl'), await alone('positions', rows));
  });

  for (const model of ['unmasked', 'mask-ignored']) {
    test(`are never padded where that would change an answer: ${model}`, async () => {
      const { status, stderr } = await run(model, '-i', 'ids.jsonl', '-o', `${model}.jsonl`, ...ONE);
      assert.equal(status, 0, stderr);
      assertNear(linesOf(`${model}.jsonl`), await alone(model, ROWS));
      assert.match(stderr, /rows are not padded: only rows of one shape share a micro-batch/);
    });
  }

  test('keep their order and run one at a time where a row sees the others', async () => {
    const { status, stderr } = await run('rows-see-rows', '-i', 'ids.jsonl', '-o', 'see.jsonl', ...ONE);
    assert.equal(status, 0, stderr);
    assertNear(linesOf('see.jsonl'), await alone('rows-see-rows', ROWS));
    assert.match(stderr, /micro-batches of 1 row.*\n.*rows keep their order/s);
  });

  test('come from tables whose lists differ in length, in CSV and in Arrow, also through a pipe', async () => {
    const cells = ROWS.map((ids, n) => `r${n},"${JSON.stringify(ids)}"\n`);
    writeFileSync(at('ids.csv'), `id,input_ids\n${cells.join('')}`);
    const table = tableFromJSON(ROWS.map((ids) => ({ input_ids: ids })));
    writeFileSync(at('ids.arrow'), tableToIPC(table, 'stream'));
    const expected = await alone('transformer', ROWS);
    for (const [input, output, stdin] of [
      ['ids.csv', 'from-csv.jsonl'],
      ['ids.arrow', 'from-arrow.jsonl'],
      ['-', 'from-pipe.jsonl', readFileSync(at('ids.csv'))],
    ] as const) {
      const format = stdin ? ['--input-format', 'csv'] : [];
      const args = ['run', 'transformer', '-i', input, '-o', output, ...format, ...ONE];
      const { status, stderr } = await tandem(args, { cwd, ...(stdin && { stdin }) });
      assert.equal(status, 0, stderr);
      assertNear(linesOf(output), expected);
      assert.match(stderr, /rows are 1 to 32 long/);
    }
    writeFileSync(at('bad.csv'), `id,input_ids\na,"[1,2]"\nb,"[1,""two""]"\nc,"[]"\nd,"[3]"\n`);
    const bad = await run('transformer', '-i', 'bad.csv', '-o', 'bad-out.jsonl', ...ONE);
    assert.equal(bad.status, 65, bad.stderr);
    assert.deepEqual(
      linesOf('bad-out.jsonl').map(({ id }) => id),
      ['a', 'd'],
    );
  });

  test('come through a pipe, where later ones are longer than all that were looked at', async () => {
    const rows = idsOf(2_500, 5).map((ids, n) => ids.slice(0, n < 1_100 ? 9 : n < 2_300 ? 17 : 32));
    const lines = rows.map((ids, n) => `${JSON.stringify({ id: n, inputs: { input_ids: ids } })}\n`).join('');
    const args = ['run', 'transformer', '-i', '-', '-o', 'piped.jsonl', '--json', ...TWO];
    const { status, stdout, stderr } = await tandem(args, { cwd, stdin: lines });
    assert.equal(status, 0, stderr);
    const written = linesOf('piped.jsonl');
    assert.deepEqual(
      written.map(({ id }) => id),
      rows.map((_, n) => n),
    );
    assert.deepEqual(
      written.map(({ outputs }) => outputs.last_hidden_state!.length),
      rows.map((ids) => ids.length),
    );
    const some = [0, 1_099, 1_100, 2_299, 2_300, 2_499];
    assertNear(
      some.map((n) => written[n]!),
      await alone(
        'transformer',
        some.map((n) => rows[n]!),
      ),
    );
    const summary = JSON.parse(String(stdout));
    assert.equal(summary.rows, 2_500);
    assert.ok(summary.microBatches > 10 && summary.stages[0].busySeconds > 0);
  });

  test('that cannot be used fail singly, wherever they stand, and the others are written', async () => {
    const rows = ROWS.slice(0, 40);
    const texts = rows.map((ids, n) => JSON.stringify({ id: n, inputs: { input_ids: ids } }));
    texts[3] = JSON.stringify({ id: 3, inputs: { input_ids: [] } });
    texts[11] = JSON.stringify({ id: 11, inputs: { input_ids: [1, 'two'] } });
    // No word of the vocabulary: the stage refuses it.
    texts[25] = JSON.stringify({ id: 25, inputs: { input_ids: [5, 100_000, 6] } });
    texts[30] = JSON.stringify({ id: 30, inputs: { input_ids: [5, 6], attention_mask: [1] } });
    writeFileSync(at('some-bad.jsonl'), `${texts.join('\n')}\n`);
    const { status, stderr } = await run('transformer', '-i', 'some-bad.jsonl', '-o', 'good.jsonl', ...ONE);
    assert.equal(status, 65, stderr);
    const bad = new Set([3, 11, 25, 30]);
    const good = rows.filter((_, n) => !bad.has(n));
    assert.deepEqual(
      linesOf('good.jsonl').map(({ id }) => id),
      rows.flatMap((_, n) => (bad.has(n) ? [] : [n])),
    );
    assertNear(linesOf('good.jsonl'), await alone('transformer', good));
    const errors = readFileSync(at('good.jsonl.errors.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      errors.map(({ index, code }) => [index, code]),
      [
        [3, 'TANDEM_ROW_SHAPE'],
        [11, 'TANDEM_ROW_TYPE'],
        [25, 'TANDEM_ENGINE_FAILED'],
        [30, 'TANDEM_ROW_SHAPE'],
      ],
    );
    assert.match(errors[3].message, /attention_mask has a length of 1 where 2 belong, the length of inputs\.input_ids/);
  });

  test('give a mask of their own, which is held', async () => {
    const rows = ROWS.slice(0, 20).filter((ids) => ids.length > 1);
    const texts = rows.map((ids) =>
      JSON.stringify({ inputs: { input_ids: ids, attention_mask: ids.map((_, n) => (n < ids.length - 1 ? 1 : 0)) } }),
    );
    writeFileSync(at('masked.jsonl'), `${texts.join('\n')}\n`);
    const { status, stderr } = await run('transformer', '-i', 'masked.jsonl', '-o', 'masked-out.jsonl', ...ONE);
    assert.equal(status, 0, stderr);
    const graph = await readOnnxModel(at('transformer/model.onnx'));
    for (const [n, ids] of rows.entries()) {
      const shape = [1, ids.length];
      const mask = ids.map((_, i) => BigInt(i < ids.length - 1 ? 1 : 0));
      const [, pooled] = await runWhole(graph, [
        { dtype: 'int64', shape, data: BigInt64Array.from(ids, BigInt) },
        { dtype: 'int64', shape, data: BigInt64Array.from(mask) },
      ]);
      const got = linesOf('masked-out.jsonl')[n]!.outputs.pooler_output!.flat();
      assert.ok(got.every((value, i) => Math.abs(value - Number(pooled!.data[i])) < 2e-5));
    }
  });

  test('tell a plan how many tokens there are, what padding adds, and how long they take', async () => {
    const { status, stdout, stderr } = await tandem(['plan', 'transformer', '-i', 'ids.jsonl', '--json'], { cwd });
    assert.equal(status, 0, stderr);
    const { lengths, microBatch, rowLengths, job } = JSON.parse(String(stdout));
    const tokens = ROWS.reduce((sum, ids) => sum + ids.length, 0);
    const { padding, ...counted } = rowLengths;
    const [shortest, longest] = [Math.min, Math.max].map((extreme) => extreme(...ROWS.map((ids) => ids.length)));
    assert.deepEqual(counted, { rows: 300, tokens, shortest, longest, limit: null, cut: 0, isWhole: true });
    assert.ok(padding > 0 && padding < 0.5, `${padding}`);
    assert.ok(lengths.tokens >= longest! && lengths.padded && microBatch >= 1);
    assert.ok(job.rows === 300 && job.seconds > 0);
    const text = String((await tandem(['plan', 'transformer', '-i', 'ids.jsonl', '-s', 'cpu'], { cwd })).stdout);
    assert.match(text, /\nrows are \d+ to 32 long, [\d,]+ tokens in 300 rows; \d+ % of what is computed is padding\n/);
    assert.match(text, /\n300 rows in \S+ s: \S+ rows\/s\n/);
  });

  test('of texts are planned by their tokens, beside the tokenizer of the model', async () => {
    makeTextModel(at('embedder'));
    const texts = ROWS.map((ids, n) => ({
      id: n,
      text: ids.map((id) => 'good film plot'.split(' ')[id % 3]).join(' '),
    }));
    writeFileSync(at('texts.csv'), `id,text\n${texts.map(({ id, text }) => `${id},"${text}"\n`).join('')}`);
    const args = ['plan', 'embedder', '-i', 'texts.csv'];
    const { status, stdout, stderr } = await tandem([...args, '--json'], { cwd });
    assert.equal(status, 0, stderr);
    const { rowLengths, job, preparing, expected } = JSON.parse(String(stdout));
    assert.equal(preparing.what, 'tokenise texts');
    assert.ok(expected.rowsPerSecond <= (preparing.threads / preparing.secondsPerRow) * (1 + 1e-9));
    // Each word is a token, and two stand around them.
    const tokens = ROWS.reduce((sum, ids) => sum + ids.length + 2, 0);
    const { rows, limit, cut, isWhole } = rowLengths;
    assert.deepEqual(
      { rows, tokens: rowLengths.tokens, limit, cut, isWhole },
      { rows: 300, tokens, limit: 48, cut: 0, isWhole: true },
    );
    assert.ok(job.rows === 300 && job.seconds > 0);
    assert.match(String((await tandem(args, { cwd })).stdout), /to tokenise texts takes .* rows\/s/);
  });

  test('are refused by name where the output cannot hold them, before anything runs', async () => {
    const ended = await run('transformer', '-i', 'ids.jsonl', '-o', 'ids.npz', '-q', ...ONE);
    assertFails(ended, {
      status: 2,
      code: 'TANDEM_OUTPUT_UNSUPPORTED',
      says: /output last_hidden_state is as long as each row.*NPZ/,
    });
  });

  test('end with the same bytes after a kill, as threads and as processes', async () => {
    // Two windows, which are computed one after the other.
    const many = idsOf(2_000, 3);
    writeIds('many.jsonl', many);
    const args = (output: string, isolation: string) => [
      ...['run', 'transformer', '-i', 'many.jsonl', '-o', output, '-q'],
      ...['--stage', `${PACED},threads=1`, '--isolation', isolation, '-b', '4'],
    ];
    assert.equal((await tandemPaced(args('whole.jsonl', 'thread'), { cwd })).status, 0);
    writeFileSync(at('many.csv'), `id,input_ids\n${many.map((ids, n) => `r${n},"[${ids}]"\n`).join('')}`);
    for (const isolation of ['thread', 'process', 'thread, from a table']) {
      const output = `killed-${isolation.replaceAll(' ', '-')}.jsonl`;
      const asked = args(output, isolation.split(',')[0]!).map((each) =>
        isolation.includes('table') && each === 'many.jsonl' ? 'many.csv' : each,
      );
      const killed = await interruptPaced(asked, { cwd, output, signal: 'SIGKILL' });
      assert.equal(killed.status, 137);
      const { status, stderr } = await tandemPaced(asked, { cwd });
      assert.equal(status, 0, stderr);
      assert.ok(readFileSync(at(output)).equals(readFileSync(at('whole.jsonl'))), isolation);
    }
  });
});
