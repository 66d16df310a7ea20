/** Rows from several files, globs, folders, compressed files and CSV: the results are those of one file with the same rows. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-many-inputs-'));
const at = (name: string) => join(cwd, name);
const ROWS = Array.from({ length: 10 }, (_, n) => [n / 10, 1 - n / 7]);
const line = (row: readonly number[]) => JSON.stringify({ inputs: row });
const array = (rows: readonly (readonly number[])[]) =>
  npyBytes({ descr: '<f4', shape: [rows.length, 2], data: floatBytes(...rows.flat()) });

before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
  mkdirSync(at('parts'));
  writeFileSync(at('all.jsonl'), ROWS.map((row) => `${line(row)}\n`).join(''));
  writeFileSync(at('parts/1.jsonl'), ROWS.slice(0, 3).map(line).join('\n'));
  writeFileSync(at('parts/2.jsonl.gz'), gzipSync(ROWS.slice(3).map(line).join('\n')));
  writeFileSync(at('a.npy'), array(ROWS.slice(0, 7)));
  writeFileSync(at('b.npy.gz'), gzipSync(array(ROWS.slice(7))));
  writeFileSync(at('wide.csv'), `u,v\n${ROWS.map((row) => row.join(',')).join('\n')}\n`);
  writeFileSync(at('lists.csv'), `id,x\n${ROWS.map((row, n) => `r${n},"[${row}]"`).join('\n')}\n`);
});
after(() => rmSync(cwd, { recursive: true }));

const run = (output: string, ...args: string[]) =>
  tandem(['run', 'mlp', ...args, '-o', output, '-s', 'cpu', '--isolation', 'thread', '-b', '4', '-q'], { cwd });

async function results(...args: string[]): Promise<{ id: unknown; outputs: unknown }[]> {
  const output = `${args.join('').replace(/\W/g, '')}.jsonl`;
  const { status, stderr } = await run(output, ...args);
  assert.equal(status, 0, stderr);
  return readFileSync(at(output), 'utf8')
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text));
}

suite('many inputs', { concurrency: 2 }, () => {
  test('several -i, a glob, a folder, gzip, NPY files one after another, and CSV with a column for each number or a list', async () => {
    const whole = await results('-i', 'all.jsonl');
    assert.equal(whole.length, ROWS.length);
    for (const args of [
      ['-i', 'parts/1.jsonl', '-i', 'parts/2.jsonl.gz'],
      ['-i', 'parts/*'],
      ['-i', 'parts'],
      ['-i', 'a.npy', '-i', 'b.npy.gz'],
      ['-i', 'wide.csv'],
    ]) {
      assert.deepEqual(await results(...args), whole, args.join(' '));
    }
    const named = await results('-i', 'lists.csv');
    assert.deepEqual(
      named,
      whole.map(({ outputs }, n) => ({ id: `r${n}`, outputs })),
    );
  });

  test('cells that are no numbers fail their rows alone', async () => {
    writeFileSync(at('bad.csv'), 'u,v\n1,2\n1,x\n,2\n0x10,1\nnan,1\n3,4\n');
    const { status } = await run('bad-out.jsonl', '-i', 'bad.csv');
    assert.equal(status, 65);
    const errors = readFileSync(at('bad-out.jsonl.errors.jsonl'), 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      errors.map((text) => JSON.parse(text)).map(({ index, code }) => [index, code]),
      [
        [1, 'TANDEM_ROW_TYPE'],
        [2, 'TANDEM_ROW_NOT_FINITE'],
        [3, 'TANDEM_ROW_TYPE'],
        [4, 'TANDEM_ROW_NOT_FINITE'],
      ],
    );
  });

  test('columns that the model does not take, and files of other shapes, are refused before anything runs', async () => {
    writeFileSync(at('three.csv'), 'u,v,w\n1,2,3\n');
    writeFileSync(at('c.npy'), npyBytes({ descr: '<f4', shape: [1, 3], data: floatBytes(1, 2, 3) }));
    const csv = await run('no.jsonl', '-i', 'three.csv');
    assertFails(csv, {
      status: 2,
      code: 'TANDEM_INPUT_INVALID',
      says: /three\.csv has no column "x", which the model takes/,
    });
    const npy = await run('no.jsonl', '-i', 'a.npy', '-i', 'c.npy');
    assertFails(npy, { status: 2, code: 'TANDEM_INPUT_INVALID' });
    const glob = await run('no.jsonl', '-i', 'none/*.csv');
    assertFails(glob, { status: 2, code: 'TANDEM_INPUT_MISSING', says: /no file matches none/ });
  });
});
