/** Values of a program as elements: every typed array for every input, open dims and lengths of 0; values are exact or refused. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPipeline, type Row, type RowResult } from '../../../src/index.js';
import { openObjects } from '../../../src/rows/json/open-objects.js';
import type { TensorSpec } from '../../../src/tensor.js';
import { made, temporaryFolder } from '../../fixtures/onnx-runs.js';
import { inputSpec, readAll } from '../../fixtures/rows-read.js';

const folder = temporaryFolder();
after(folder.remove);

/** The elements of one row, or its failure. */
async function read(spec: TensorSpec, value: unknown, options = {}): Promise<(number | bigint)[] | string> {
  try {
    const all = await readAll(await openObjects([value], [spec], options));
    return all.failures[0]?.message ?? all.values[0]!;
  } catch (error) {
    return (error as Error).message.replace(/^.*; row 0: /, '');
  }
}

test('integers of any array convert exactly to any integer type that holds them', async () => {
  const [high, low] = [2n ** 63n - 1n, -(2n ** 63n)];
  for (const shape of [2, null]) {
    const int64 = inputSpec('x', 'int64', shape);
    assert.deepEqual(await read(int64, BigInt64Array.of(high, low)), [high, low]);
    assert.deepEqual(await read(int64, [high, low]), [high, low]);
    for (const array of [Int32Array, Uint8Array, Uint8ClampedArray, Int16Array, Float64Array]) {
      assert.deepEqual(await read(int64, array.of(7, 1)), [7n, 1n], array.name);
    }
    assert.deepEqual(await read(inputSpec('x', 'uint64', shape), BigInt64Array.of(5n, 6n)), [5n, 6n]);
    assert.deepEqual(await read(inputSpec('x', 'int32', shape), BigInt64Array.of(5n, -6n)), [5, -6]);
    assert.deepEqual(await read(inputSpec('x', 'uint8', shape), Uint8ClampedArray.of(255, 0)), [255, 0]);
    assert.deepEqual(await read(inputSpec('x', 'bool', shape), Uint8Array.of(1, 0)), [1, 0]);
    assert.deepEqual(await read(inputSpec('x', 'float32', shape), Float64Array.of(0.1, 2)), [Math.fround(0.1), 2]);
    assert.deepEqual(await read(inputSpec('x', 'float16', shape), Uint16Array.of(0x3c00, 0)), [0x3c00, 0]);
  }
});

test('a value that does not fit is reported with its path, for open and fixed dims', async () => {
  for (const shape of [2, null]) {
    const table: [TensorSpec['dtype'], unknown, RegExp][] = [
      ['int64', BigUint64Array.of(1n, 2n ** 63n), /^row\[1\] is 9223372036854775808, beyond int64/],
      ['uint64', BigInt64Array.of(1n, -1n), /^row\[1\] is -1, beyond uint64/],
      ['int32', BigInt64Array.of(1n, 2n ** 31n), /^row\[1\] is 2147483648, beyond int32/],
      ['int64', Float64Array.of(1, 0.5), /^row\[1\] is 0\.5 where a whole number belongs/],
      ['float32', BigInt64Array.of(1n, 2n), /^row\[0\] is a bigint where a number belongs/],
      ['float32', Float64Array.of(1, 1e300), /^row\[1\] is 1e\+300, too large for float32/],
      ['float32', Float32Array.of(1, Number.NEGATIVE_INFINITY), /^row\[1\] is -Infinity$/],
      ['float16', Uint16Array.of(1, 0x7c00), /^row\[1\] is Infinity$/],
      ['bool', Uint8Array.of(1, 2), /^row\[1\] is the byte 2/],
      [
        'float32',
        { inputs: { x: new DataView(new ArrayBuffer(8)) } },
        /^inputs\.x is a DataView, which has no element type/,
      ],
    ];
    for (const [dtype, value, says] of table) {
      assert.match(String(await read(inputSpec('x', dtype, shape), value)), says, `${dtype}, ${shape}`);
    }
  }
});

test('NaN and infinities are accepted from any list with allowNonFinite', async () => {
  const spec = inputSpec('x', 'float32', null);
  const values = [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of [values, Float32Array.from(values), Float64Array.from(values)]) {
    assert.deepEqual(await read(spec, value, { allowNonFinite: true }), values);
    assert.match(String(await read(spec, value)), /^row\[1\] is NaN$/);
  }
});

test('lengths of 0, and flat arrays for one open dim', async () => {
  for (const value of [[[], []], new Float32Array(0)])
    assert.deepEqual(await read(inputSpec('x', 'float32', 2, null), value), []);
  assert.deepEqual(await read(inputSpec('x', 'float32', 2, 0, 4), [[], []]), []);
  const source = await openObjects([[[], []]], [inputSpec('x', 'float32', 2, null, 4)]);
  assert.deepEqual(source.rowSpecs[0]!.shape, [2, 0, 4]);
  await source.close();
  const flat = await openObjects([new Float32Array(12)], [inputSpec('x', 'float32', null, 4)]);
  assert.deepEqual(flat.rowSpecs[0]!.shape, [3, 4]);
  await flat.close();
  const open = String(await read(inputSpec('x', 'float32', null, null), new Float32Array(12)));
  assert.match(open, /flat array of 12, which does not determine \? x \?: give nested lists/);
});

test('an empty list at the start does not set the length for all others', async () => {
  const rows = [[], [], [1, 2], [], [3, 4]];
  const all = await readAll(await openObjects(rows, [inputSpec('x', 'float32', null)]));
  assert.deepEqual(all.values[0], [1, 2, 3, 4]);
  assert.deepEqual(
    all.failures.map(({ index, message }) => [index, message]),
    [
      [0, 'row is an empty list'],
      [1, 'row is an empty list'],
      [3, 'row is an empty list'],
    ],
  );
});

test('BigInt64Array goes through a pipeline whose lengths are open: the values are those of lists', async () => {
  const path = made(folder.path, 'transformer');
  await using pipeline = await openPipeline(path, { stages: [{ device: 'cpu', threads: 1 }], microBatch: 2 });
  const tokens = Array.from({ length: 3 }, (_, row) => Array.from({ length: 5 }, (_, n) => (row * 7 + n * 3) % 40));
  const rowsOf = (make: (values: number[]) => Row) =>
    tokens.map((ids) => {
      const inputs = Object.fromEntries(
        pipeline.inputs.map(({ name }) => [
          name,
          make(name === 'input_ids' ? ids : ids.map(() => (name === 'attention_mask' ? 1 : 0))),
        ]),
      );
      return { inputs } as Row;
    });
  const all = async (rows: Row[]) => {
    const found: RowResult[] = [];
    for await (const result of pipeline.run(rows)) found.push(result);
    return found;
  };
  const lists = await all(rowsOf((values) => values));
  assert.ok(lists.every((result) => 'outputs' in result));
  assert.deepEqual(await all(rowsOf((values) => BigInt64Array.from(values, BigInt))), lists);
  assert.deepEqual(await all(rowsOf((values) => Int32Array.from(values))), lists);
});
