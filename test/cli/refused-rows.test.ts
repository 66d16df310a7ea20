/** `tandem run` with rows that are refused while they are read: told, at no cost, and the good ones as if the others were not there. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { type Ended, tandem } from './tandem-process.js';

const WIDTH = 4;
let cwd: string;
const at = (name: string) => join(cwd, name);

before(() => {
  cwd = mkdtempSync(join(tmpdir(), 'tandem-refused-'));
  makeOnnx('mlp', at('mlp'), { layers: 2, hidden: WIDTH });
});
after(() => rmSync(cwd, { recursive: true }));

const TWO = ['-s', 'cpu,layers=0..0,threads=1', '-s', 'cpu,threads=1'];
const run = (input: string, output: string, ...more: string[]) =>
  tandem(['run', 'mlp', '-i', input, '-o', output, '-b', '4', ...TWO, ...more], { cwd });
const linesOf = (name: string) => readFileSync(at(name), 'utf8').split('\n').slice(0, -1);
const valuesOf = (row: number) => Array.from({ length: WIDTH }, (_, n) => Math.fround(Math.sin(row * WIDTH + n)));
const lineOf = (row: number, isGood: boolean) =>
  JSON.stringify({ id: `r${row}`, inputs: isGood ? valuesOf(row) : valuesOf(row).slice(1) });
const writeLines = (name: string, lines: readonly string[]) =>
  writeFileSync(at(name), lines.map((line) => `${line}\n`).join(''));
const writeArray = (name: string, rows: readonly (readonly number[])[]) =>
  writeFileSync(at(name), npyBytes({ descr: '<f4', shape: [rows.length, WIDTH], data: floatBytes(...rows.flat()) }));
const summaryOf = ({ stdout }: Ended) => JSON.parse(String(stdout));

suite('rows that are refused', { concurrency: 2 }, () => {
  test('299 ragged rows and one good one cost one micro-batch', async () => {
    writeLines(
      'ragged.jsonl',
      Array.from({ length: 300 }, (_, row) => lineOf(row, row === 250)),
    );
    const ended = await run('ragged.jsonl', 'ragged-out.jsonl', '--json');
    assert.equal(ended.status, 65, ended.stderr);
    const { rows, failedRows, microBatches } = summaryOf(ended);
    assert.deepEqual({ rows, failedRows, microBatches }, { rows: 300, failedRows: 299, microBatches: 1 });
    assert.deepEqual(
      linesOf('ragged-out.jsonl').map((line) => JSON.parse(line).id),
      ['r250'],
    );
    const indexes = linesOf('ragged-out.jsonl.errors.jsonl').map((line) => JSON.parse(line).index);
    assert.deepEqual(
      indexes,
      Array.from({ length: 300 }, (_, row) => row).filter((row) => row !== 250),
    );
  });

  test('the good rows come out as they do from a file without the others, bit for bit, in every format', async () => {
    const isGood = (row: number) => row % 5 !== 2 && row % 7 !== 3;
    const rows = Array.from({ length: 61 }, (_, row) => row);
    const bad = [1, Number.NaN, Number.NEGATIVE_INFINITY, 2];
    const good = rows.filter(isGood);
    writeLines(
      'mixed.jsonl',
      rows.map((row) => lineOf(row, isGood(row))),
    );
    writeLines(
      'alone.jsonl',
      good.map((row) => lineOf(row, true)),
    );
    writeArray(
      'mixed.npy',
      rows.map((row) => (isGood(row) ? valuesOf(row) : bad)),
    );
    const mixed = await run('mixed.jsonl', 'mixed-out.jsonl', '-q');
    const alone = await run('alone.jsonl', 'alone-out.jsonl', '-q');
    assert.deepEqual([mixed.status, alone.status], [65, 0], mixed.stderr);
    assert.deepEqual(linesOf('mixed-out.jsonl'), linesOf('alone-out.jsonl'));
    for (const format of ['npy', 'npz']) {
      const output = `mixed-out.${format}`;
      assert.equal((await run('mixed.npy', output, '-q')).status, 65);
      const told = linesOf(`${output}.errors.jsonl`).map((line) => JSON.parse(line));
      assert.deepEqual(
        told.map(({ index, code, message }) => [index, code, message]),
        rows.filter((row) => !isGood(row)).map((row) => [row, 'TANDEM_ROW_NOT_FINITE', 'x[1] is NaN']),
      );
      assert.equal((await run('alone.jsonl', `alone-out.${format}`, '-q')).status, 0);
    }
    const floats = (name: string) => {
      const bytes = readFileSync(at(name));
      return new Float32Array(new Uint8Array(bytes.subarray(128)).buffer);
    };
    const [all, few] = [floats('mixed-out.npy'), floats('alone-out.npy')];
    for (const row of rows) {
      const place = good.indexOf(row);
      const expected =
        place < 0 ? new Float32Array(WIDTH).fill(Number.NaN) : few.subarray(place * WIDTH, (place + 1) * WIDTH);
      assert.deepEqual(all.subarray(row * WIDTH, (row + 1) * WIDTH), expected, `row ${row}`);
    }
  });

  test('if every row fails, nothing is computed, the array has its shape, and the reason is printed', async () => {
    writeArray(
      'bad.npy',
      Array.from({ length: 2500 }, () => [1, 2, 3, Number.POSITIVE_INFINITY]),
    );
    const ended = await run('bad.npy', 'bad-out.npy', '--json');
    assert.equal(ended.status, 65, ended.stderr);
    assert.equal(summaryOf(ended).microBatches, 0);
    assert.match(
      ended.stderr,
      /every row failed; the first: row 0: x\[3\] is Infinity \[TANDEM_ROW_NOT_FINITE\]\n--allow-non-finite/,
    );
    const bytes = readFileSync(at('bad-out.npy'));
    assert.match(bytes.toString('latin1'), /'shape': \(2500, 4\)/);
    assert.ok(new Float32Array(new Uint8Array(bytes.subarray(128)).buffer).every(Number.isNaN));
  });

  test('one rule for what is not finite: refused in every format, let pass in every format where that is asked', async () => {
    const rows = [valuesOf(0), [1, Number.POSITIVE_INFINITY, 2, 3], valuesOf(1), [Number.NaN, 0, 0, 0]];
    writeArray('inf.npy', rows);
    const text = (value: number) => (Number.isFinite(value) ? String(value) : `"${value}"`);
    writeLines(
      'inf.jsonl',
      rows.map((row) => `[${row.map(text).join(',')}]`),
    );
    writeLines(
      'bare.jsonl',
      rows.map((row) => `[${row.map(String).join(',')}]`),
    );
    const told: unknown[] = [];
    for (const input of ['inf.npy', 'inf.jsonl', 'bare.jsonl']) {
      const ended = await run(input, `${input}-out.jsonl`, '-q');
      assert.equal(ended.status, 65, ended.stderr);
      const failures = linesOf(`${input}-out.jsonl.errors.jsonl`).map((line) => JSON.parse(line));
      told.push(failures.map(({ index, code, message }) => [index, code, message.replace(/^(x|row)/, '')]));
    }
    const expected = [
      [1, 'TANDEM_ROW_NOT_FINITE', '[1] is Infinity'],
      [3, 'TANDEM_ROW_NOT_FINITE', '[0] is NaN'],
    ];
    assert.deepEqual(told, [expected, expected, expected]);
    const outputs: string[][] = [];
    for (const input of ['inf.npy', 'inf.jsonl', 'bare.jsonl']) {
      const ended = await run(input, `${input}-all.jsonl`, '--allow-non-finite', '--json');
      assert.equal(ended.status, 0, ended.stderr);
      assert.equal(summaryOf(ended).nonFiniteRows, 2);
      assert.match(ended.stderr, /warning: the results of 2 of 4 rows hold NaN or an infinity\n/);
      outputs.push(linesOf(`${input}-all.jsonl`));
      const status = await tandem(['status', `${input}-all.jsonl`], { cwd });
      assert.match(String(status.stdout), /: finished, 4 rows, 2 with NaN or an infinity\n/);
      const { stdout } = await tandem(['status', `${input}-all.jsonl`, '--json'], { cwd });
      assert.equal(JSON.parse(String(stdout)).nonFiniteRows, 2);
    }
    assert.match(outputs[0]![1]!, /"(NaN|-?Infinity)"/);
    assert.deepEqual(outputs[1], outputs[0]);
    assert.deepEqual(outputs[2], outputs[0]);
  });

  test('ids that are no strings come back as they were given', async () => {
    const ids = ['5', 'null', '{"a":1}', 'true', '123456789012345678901'];
    const lines = ids.map((id) => `{"custom_id":${id},"body":{"input":[1,2,3,4]}}`);
    writeLines('ids.jsonl', [
      ...lines,
      '{"custom_id":"twice","body":{"input":[1,2,3,4]}}',
      '{"custom_id":"twice","body":{"input":[1,2,3,4]}}',
    ]);
    const ended = await run('ids.jsonl', 'ids-out.jsonl', '-q');
    assert.equal(ended.status, 65, ended.stderr);
    const told = linesOf('ids-out.jsonl.errors.jsonl').map((line) => JSON.parse(line));
    assert.deepEqual(
      told.map(({ custom_id }) => custom_id),
      [5, null, { a: 1 }, true, '123456789012345678901', 'twice'],
    );
    assert.ok(told.every(({ error }) => error.code === 'TANDEM_ROW_INVALID'));
  });
});
