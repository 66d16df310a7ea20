/** Columns of the input beside the results: `--keep`, what is kept without it, and CSV out, as Python's csv module reads it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-keep-'));
const at = (name: string) => join(cwd, name);
const TEXTS = ['plain', 'a,b', 'say "hi"', 'two\nlines', '', 'é😀'];
const NUMBERS = [
  [1, 2],
  [3, 4],
  ['bad', 0],
  [5, 6],
  [7, 8],
  [9, 10],
];

before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
  const quoted = TEXTS.map((text) => `"${text.replaceAll('"', '""')}"`);
  writeFileSync(
    at('t.csv'),
    `id,text,u,x\n${quoted.map((text, n) => `r${n},${text},007,"[${NUMBERS[n]}]"\n`).join('')}`,
  );
  const lines = TEXTS.map((text, n) => ({
    id: n,
    text,
    n: n % 2 ? n : n + 0.5,
    tags: ['a'],
    more: { deep: n },
    inputs: NUMBERS[n],
  }));
  writeFileSync(at('t.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
});
after(() => rmSync(cwd, { recursive: true }));

const run = (output: string, ...args: string[]) =>
  tandem(
    ['run', 'mlp', ...args, '-o', output, '-s', 'cpu', '--isolation', 'thread', '-b', '2', '-q', '--allow-errors'],
    { cwd },
  );

async function made(output: string, ...args: string[]): Promise<string> {
  const { status, stderr } = await run(output, ...args);
  assert.equal(status, 0, stderr);
  return readFileSync(at(output), 'utf8');
}

/** The rows of a CSV file, as Python reads them. */
function python(file: string): string[][] {
  const program =
    'import csv, json, sys; print(json.dumps(list(csv.reader(open(sys.argv[1], newline=""), delimiter=sys.argv[2]))))';
  return JSON.parse(execFileSync('python3', ['-c', program, at(file), file.endsWith('.tsv') ? '\t' : ',']).toString());
}

suite('kept columns', { concurrency: 2 }, () => {
  test('a table of a table keeps all columns; a row that failed has them too, and empty results', async (t) => {
    if (spawnSync('python3', ['--version']).error) return t.skip('there is no python3');
    for (const output of ['all.csv', 'all.tsv']) {
      await made(output, '-i', 't.csv');
      const [names, ...rows] = python(output);
      assert.deepEqual(names?.slice(0, 4), ['id', 'text', 'u', 'x']);
      assert.equal(names?.length, 5);
      assert.deepEqual(
        rows.map(([, text]) => text),
        TEXTS,
      );
      assert.ok(rows.every((row) => row[2] === '007'));
      for (const [n, row] of rows.entries()) {
        if (n === 2) assert.equal(row[4], '');
        else assert.ok((JSON.parse(row[4]!) as unknown[]).every((value) => typeof value === 'number'));
      }
    }
    assert.match(readFileSync(at('all.csv.errors.jsonl'), 'utf8'), /"index":2,"id":"r2","code":"TANDEM_ROW_INVALID"/);
  });

  test('named columns, none, and JSON lines that keep members or the whole object', async () => {
    assert.match(await made('some.csv', '-i', 't.csv', '--keep', 'u,id'), /^u,id,\S+\n007,r0,/);
    assert.match(await made('none.csv', '-i', 't.csv', '--keep', ''), /^id,\S+\nr0,/);
    const plain = (await made('plain.jsonl', '-i', 't.csv')).split('\n');
    assert.deepEqual(Object.keys(JSON.parse(plain[0]!)), ['id', 'outputs']);
    const named = (await made('named.jsonl', '-i', 't.csv', '--keep', 'text'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      named.map(({ id, text }) => [id, text]),
      TEXTS.map((text, n) => [`r${n}`, text]).filter((_, n) => n !== 2),
    );
    const whole = (await made('whole.jsonl', '-i', 't.jsonl', '--keep', '*'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(Object.keys(whole[0]), ['id', 'text', 'n', 'tags', 'more', 'inputs', 'outputs']);
    assert.deepEqual(whole[1].more, { deep: 1 });
  });

  test('JSON lines into a table: whole numbers, fractions, lists and objects', async (t) => {
    if (spawnSync('python3', ['--version']).error) return t.skip('there is no python3');
    await made('json.csv', '-i', 't.jsonl', '--keep', 'n,more,tags,absent');
    const [names, first, second] = python('json.csv');
    assert.deepEqual(names?.slice(0, 4), ['n', 'more', 'tags', 'absent']);
    assert.deepEqual(first?.slice(0, 4), ['0.5', '{"deep":0}', '["a"]', '']);
    assert.deepEqual(second?.slice(0, 2), ['1', '{"deep":1}']);
  });

  test('what cannot be kept is refused before anything is written', async () => {
    const npy = await run('no.npy', '-i', 't.csv', '--keep', 'text');
    assertFails(npy, { status: 2, code: 'TANDEM_USAGE', says: /the output is NPY, which holds arrays and no columns/ });
    const missing = await run('no.csv', '-i', 't.csv', '--keep', 'txt');
    assertFails(missing, {
      status: 2,
      code: 'TANDEM_INPUT_INVALID',
      says: /has no column "txt".*\n.*did you mean text\?/,
    });
    assert.ok(!existsSync(at('no.csv')) && !existsSync(at('no.csv.journal')));
  });
});
