/** Parquet and Arrow from the command line: pyarrow reads what was kept of its own table with the same values and types, and the results beside it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { noPyarrow, PYTHON } from '../rows/pyarrow.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-tables-out-'));
const at = (name: string) => join(cwd, name);

const MAKE = `
import datetime, pyarrow as pa, pyarrow.parquet as pq
N = 50
pq.write_table(pa.table({
    'id': pa.array([2**60 + n for n in range(N)]),
    'text': pa.array([None if n % 5 == 0 else f'é {n}' for n in range(N)]),
    'small': pa.array([n - 20 for n in range(N)], pa.int8()),
    'big': pa.array([2**64 - 1 - n for n in range(N)], pa.uint64()),
    'half': pa.array([n / 8 for n in range(N)], pa.float64()),
    'flag': pa.array([True, None] * (N // 2)),
    'raw': pa.array([bytes([n, 255]) for n in range(N)]),
    'day': pa.array([datetime.date(1969, 12, 31) + datetime.timedelta(n) for n in range(N)]),
    'when': pa.array([n * 10**15 - 1 for n in range(N)], pa.timestamp('ns', 'UTC')),
    'tags': pa.array([None if n == 3 else [f't{k}' for k in range(n % 3)] for n in range(N)]),
    'u': pa.array([n / 10 for n in range(N)], pa.float32()),
    'v': pa.array([None if n == 7 else 1.0 for n in range(N)], pa.float32()),
}), 'in.parquet', row_group_size=20)`;

const CHECK = `
import json, pyarrow.parquet as pq, pyarrow.feather as feather
given = pq.read_table('in.parquet').drop_columns(['u', 'v'])
for name in ['out.parquet', 'out.arrow']:
    made = pq.read_table(name) if name.endswith('parquet') else feather.read_table(name)
    kept = made.select(given.column_names)
    assert kept.cast(given.schema).equals(given), name
    assert [str(f.type).replace('item', 'element') for f in kept.schema] == [str(f.type) for f in given.schema], kept.schema
    (y,) = [made[n] for n in made.column_names if n not in given.column_names]
    rows = y.to_pylist()
    assert [n for n, row in enumerate(rows) if row is None] == [7], rows
    print(json.dumps(rows))`;

const run = (output: string, ...args: string[]) =>
  tandem(
    ['run', 'mlp', ...args, '-o', output, '-s', 'cpu', '--isolation', 'thread', '-b', '8', '-q', '--allow-errors'],
    { cwd },
  );

suite('tables out', { skip: noPyarrow }, () => {
  before(() => {
    makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
    execFileSync(PYTHON, ['-c', MAKE], { cwd });
    writeFileSync(
      at('uv.jsonl'),
      Array.from({ length: 50 }, (_, n) => `{"inputs":[${Math.fround(n / 10)},1]}\n`).join(''),
    );
  });
  after(() => rmSync(cwd, { recursive: true }));

  test('kept columns have the values and types that they had, and the results are those of JSON lines', async () => {
    const columns = 'id,text,small,big,half,flag,raw,day,when,tags';
    execFileSync(
      PYTHON,
      [
        '-c',
        `import pyarrow.parquet as pq, pyarrow as pa
t = pq.read_table('in.parquet')
pairs = [None if v is None else [u, v] for u, v in zip(t['u'].to_pylist(), t['v'].to_pylist())]
pq.write_table(t.append_column('x', pa.array(pairs, pa.list_(pa.float32()))), 'with-x.parquet')`,
      ],
      { cwd },
    );
    for (const output of ['out.parquet', 'out.arrow']) {
      const { status, stderr } = await run(output, '-i', 'with-x.parquet', '--keep', columns);
      assert.equal(status, 0, stderr);
    }
    const printed = execFileSync(PYTHON, ['-c', CHECK], { cwd })
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(printed[0], printed[1]);
    assert.equal((await run('out.jsonl', '-i', 'uv.jsonl')).status, 0);
    const lines = execFileSync('cat', [at('out.jsonl')])
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => Object.values(JSON.parse(line).outputs)[0]);
    for (const [n, row] of (printed[0] as number[][]).entries()) {
      if (row !== null) assert.deepEqual(row.map(Math.fround), (lines[n] as number[]).map(Math.fround), String(n));
    }
    const left = readdirSync(cwd).filter((name) => name.includes('.partial'));
    assert.deepEqual(left, []);
  });

  test('a table on stdout, and Parquet from stdin, are refused', async () => {
    const out = await tandem(['run', 'mlp', '-i', 'uv.jsonl', '-o', '-', '--output-format', 'parquet'], { cwd });
    assertFails(out, { status: 2, code: 'TANDEM_OUTPUT_UNSUPPORTED', says: /a Parquet file is assembled at the end/ });
    const stdin = await tandem(['run', 'mlp', '-i', '-', '--input-format', 'parquet', '-o', 'no.jsonl'], { cwd });
    assertFails(stdin, { status: 2, code: 'TANDEM_USAGE', says: /Parquet cannot be read from stdin/ });
  });
});
