/** Lengths of 0 as models have them, end to end: a decoder's first step has nothing in its cache. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openPipeline, type RowResult } from '../../src/index.js';
import { openModel } from '../../src/model/open.js';
import { bytesOf, type Tensor } from '../../src/tensor.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { zipBytes } from '../fixtures/zip-bytes.js';
import { tandem } from './tandem-process.js';

const folder = temporaryFolder();
after(folder.remove);
const cwd = folder.path;
const at = (name: string) => join(cwd, name);

const ROWS = 6;
const floats = (length: number) => Float32Array.from({ length }, (_, n) => Math.sin(n + 1));
const tensor = (shape: readonly number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: floats(shape.reduce((a, b) => a * b, 1)),
});
const npy = ({ shape, data }: Tensor) => npyBytes({ descr: '<f4', shape, data: bytesOf(data) });
const STAGES = { whole: ['-s', 'cpu,threads=1'], cut: ['-s', 'cpu,layers=0..0,threads=1', '-s', 'cpu,threads=1'] };

suite('a cache without anything in it', { concurrency: 2 }, () => {
  const x = tensor([ROWS, 2, 1, 4]);
  const past = tensor([ROWS, 2, 0, 4]);
  const model = made(cwd, 'cached');
  const expected = openModel(model).then((graph) => runWhole(graph, [x, past]));
  writeFileSync(
    at('rows.npz'),
    zipBytes([
      { name: 'x.npy', data: npy(x) },
      { name: 'past.npy', data: npy(past) },
    ]),
  );
  const rowOf = (row: number) => {
    const own = [...(x.data as Float32Array).subarray(row * 8, row * 8 + 8)];
    return { x: [[own.slice(0, 4)], [own.slice(4)]], past: [[], []] };
  };
  const rows = Array.from({ length: ROWS }, (_, row) => JSON.stringify({ inputs: rowOf(row) }));
  writeFileSync(at('rows.jsonl'), `${rows.join('\n')}\n`);

  for (const [name, stages] of Object.entries(STAGES)) {
    for (const input of ['rows.npz', 'rows.jsonl']) {
      test(`${name}, from ${input}: what ONNX Runtime makes of it, to JSON lines and to NPZ`, async () => {
        const run = async (output: string) => {
          const args = ['run', model, '-i', input, '-o', output, '-b', '4', ...stages, '-q'];
          const { status, stderr } = await tandem(args, { cwd });
          assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
          return readFileSync(at(output));
        };
        const graph = await openModel(model);
        const lines = String(await run(`${name}-${input}.jsonl`))
          .trimEnd()
          .split('\n');
        for (const [n, output] of graph.outputs.entries()) {
          const { data, shape } = (await expected)[n]!;
          const found = lines.flatMap((line) => JSON.parse(line).outputs[output].flat(3) as number[]);
          assert.equal(found.length, data.length);
          for (const [k, value] of found.entries()) assert.ok(Math.abs(value - Number(data[k])) < 1e-6);
          if (shape[2] === 0) assert.deepEqual(JSON.parse(lines[0]!).outputs[output], [[], []]);
        }
        const archive = (await run(`${name}-${input}.npz`)).toString('latin1');
        assert.match(archive, /'shape': \(6, 2, 0, 4\)/);
        assert.match(archive, /'shape': \(6, 2, 1, 4\)/);
      });
    }
  }

  test('from TypeScript: lists, typed arrays of length 0, and the values of the whole model', async () => {
    await using pipeline = await openPipeline(model, { stages: [{ device: 'cpu', threads: 1 }], microBatch: 4 });
    const valuesOf = async (results: AsyncIterable<RowResult>) => {
      const values: number[][] = [];
      for await (const result of results) {
        assert.ok('outputs' in result, 'error' in result ? result.error.message : '');
        values.push(Object.values(result.outputs).flatMap(({ data }) => [...data].map(Number)));
      }
      return values;
    };
    const lists = Array.from({ length: ROWS }, (_, row) => ({ inputs: rowOf(row) }));
    const typed = lists.map(({ inputs }) => ({
      inputs: { x: Float32Array.from(inputs.x.flat(2)), past: new Float32Array(0) },
    }));
    const found = await valuesOf(pipeline.run(typed));
    assert.deepEqual(found, await valuesOf(pipeline.run(lists)));
    assert.equal(found.length, ROWS);
    const [y] = await expected;
    for (const [row, values] of found.entries()) {
      for (let n = 0; n < 8; n++) assert.ok(Math.abs(values[n]! - Number(y!.data[row * 8 + n])) < 1e-6);
    }
  });
});
