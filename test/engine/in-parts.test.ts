/** A micro-batch in parts is the micro-batch in one piece, wherever its rows lie. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInParts } from '../../src/engine/in-parts.js';
import { TandemError } from '../../src/errors.js';
import { allocate, type Tensor } from '../../src/tensor.js';

/** x (2, rows, 3) and a shared (3) to (rows, 2): for each row and step the sum of the products. */
function summed([x, shared]: readonly Tensor[]): Tensor[] {
  const [steps, rows, width] = x!.shape as [number, number, number];
  const made = { dtype: 'float32', shape: [rows, steps], data: allocate('float32', [rows, steps]) } as const;
  for (let n = 0; n < x!.data.length; n++) {
    const row = Math.floor(n / width) % rows;
    const step = Math.floor(n / width / rows);
    (made.data as Float32Array)[row * steps + step]! += Number(x!.data[n]) * Number(shared!.data[n % width]);
  }
  return [made];
}

const ROWS = 7;
const x: Tensor = {
  dtype: 'float32',
  shape: [2, ROWS, 3],
  data: Float32Array.from({ length: 42 }, (_, n) => n + 1),
};
const shared: Tensor = { dtype: 'float32', shape: [3], data: Float32Array.of(1, 10, 100) };

test('rows second, with a tensor that all rows share', async () => {
  const [whole] = summed([x, shared]);
  for (const rows of [1, 2, 3, 6, 7, 8]) {
    const asked: number[] = [];
    const slice = {
      run: (inputs: readonly Tensor[]) => {
        asked.push(inputs[0]!.shape[1]!);
        return summed(inputs);
      },
    };
    const [found] = await runInParts(slice, [x, shared], { rows, inputs: [1, null], outputs: [0] });
    assert.deepEqual(found, whole);
    assert.ok(asked.every((count) => count <= rows));
    assert.equal(asked.length, Math.ceil(ROWS / rows));
  }
});

test('parts that do not fit together are said to be that', async () => {
  const slice = { run: ([own]: readonly Tensor[]) => [{ ...shared, shape: [own!.shape[1]!, own!.shape[1]!] }] };
  await assert.rejects(
    runInParts(slice, [x, shared], { rows: 3, inputs: [1, null], outputs: [0] }),
    (error) => error instanceof TandemError && error.code === 'TANDEM_STAGE_FAILED',
  );
});
