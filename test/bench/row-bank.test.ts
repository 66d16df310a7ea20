/** The rows of a bench: what a pipeline is fed with, and how many micro-batches are in flight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowBank } from '../../src/bench/row-bank.js';
import { DTYPES, type TensorSpec, zeroRows } from '../../src/tensor.js';

const pair: TensorSpec[] = [{ name: 'x', dtype: 'float32', shape: [2] }];

function counting(rows: number): RowBank {
  const data = Float32Array.from({ length: rows * 2 }, (_, n) => n);
  return new RowBank(pair, [{ dtype: 'float32', shape: [rows, 2], data }]);
}

test('rows come in order, again from the first when they end, and the last micro-batch is short', async () => {
  const feed = counting(3).feed({ rows: 5, microBatch: 2, depth: 9 });
  const taken: number[][] = [];
  for (;;) {
    const [into] = zeroRows(pair, 4);
    const rows = Number(await feed.fill([into!]));
    if (rows === 0) break;
    taken.push(Array.from(into!.data as Float32Array).slice(0, rows * 2));
  }
  assert.deepEqual(taken, [
    [0, 1, 2, 3],
    [4, 5, 0, 1],
    [2, 3],
  ]);
});

test('no more micro-batches are in flight than the depth, and one more for each that came out', async () => {
  const feed = counting(3).feed({ rows: 8, microBatch: 1, depth: 2 });
  let filled = 0;
  const fill = () => feed.fill(zeroRows(pair, 1)).then((rows) => (filled += Number(rows)));
  const flights = [fill(), fill()];
  await Promise.all(flights);
  const third = fill();
  await new Promise(setImmediate);
  assert.equal(filled, 2);
  feed.taken();
  await third;
  assert.equal(filled, 3);
});

test('random rows of every type are numbers that a model takes, and the same from the same seed', () => {
  const specs = DTYPES.map((dtype): TensorSpec => ({ name: dtype, dtype, shape: [8] }));
  const read = async (bank: RowBank) => {
    const into = zeroRows(specs, 4);
    await bank.feed({ rows: 4, microBatch: 4, depth: 1 }).fill(into);
    return into.map(({ data }) => Array.from(data as Float32Array, Number));
  };
  return Promise.all([read(RowBank.random(specs)), read(RowBank.random(specs))]).then(([a, b]) => {
    assert.deepEqual(a, b);
    for (const [n, { dtype }] of specs.entries()) {
      const allowed = { float16: [0, 0x3c00], bfloat16: [0, 0x3f80] }[dtype as string] ?? [0, 1];
      const fits =
        dtype === 'float32' || dtype === 'float64'
          ? (v: number) => Math.abs(v) <= 1
          : (v: number) => allowed.includes(v);
      assert.ok(a![n]!.every(fits), `${dtype}: ${a![n]}`);
      assert.ok(new Set(a![n]).size > 1, dtype);
    }
  });
});
