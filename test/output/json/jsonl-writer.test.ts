/** Rows as JSON lines: exact text, nesting, ids, failed rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonlWriter } from '../../../src/output/json/jsonl-writer.js';
import type { RowsDone } from '../../../src/output/sink.js';
import { batch, failedRow, sharedTensor } from '../../fixtures/rows-done.js';

async function textOf(...batches: RowsDone[]): Promise<string> {
  const chunks: Buffer[] = [];
  const writer = new JsonlWriter({
    write: async (bytes) => {
      chunks.push(Buffer.from(bytes));
    },
  });
  for (const one of batches) await writer.write(one);
  await writer.finish();
  return Buffer.concat(chunks).toString();
}

test('rows of several outputs, nested by their shapes', async () => {
  const y = sharedTensor('float32', [2, 2, 2], [0, 0.1, -1.5, 1e10, 1, 2, 3, Number.NaN]);
  const label = sharedTensor('int64', [2], [1n, -(2n ** 63n)]);
  const found = sharedTensor('bool', [2, 1], [1, 0]);
  assert.equal(
    await textOf(batch(0, { y, label, found })),
    '{"id":0,"outputs":{"y":[[0,0.1],[-1.5,10000000000]],"label":1,"found":[true]}}\n' +
      '{"id":1,"outputs":{"y":[[1,2],[3,"NaN"]],"label":-9223372036854775808,"found":[false]}}\n',
  );
});

test('ids are those of the input, else positions; failed rows have no line', async () => {
  const y = sharedTensor('uint8', [4], [1, 2, 3, 4]);
  assert.equal(
    await textOf(
      batch(0, { y }, { ids: ['a"b', 7, 'c', 3], failed: [failedRow(2, 'c')] }),
      batch(4, { y }, { failed: [failedRow(4), failedRow(7)] }),
    ),
    '{"id":"a\\"b","outputs":{"y":1}}\n{"id":7,"outputs":{"y":2}}\n{"id":3,"outputs":{"y":4}}\n' +
      '{"id":5,"outputs":{"y":2}}\n{"id":6,"outputs":{"y":3}}\n',
  );
});

test('a row longer than the buffer is written in parts, unchanged', async () => {
  const values = Array.from({ length: 300_000 }, (_, n) => n % 1000);
  const lines = (await textOf(batch(0, { y: sharedTensor('int32', [1, 300, 1000], values) }))).split('\n');
  assert.equal(lines.length, 2);
  assert.deepEqual(JSON.parse(lines[0]!).outputs.y.flat(), values);
  const long = await textOf(batch(0, { y: sharedTensor('int32', [2, 150_000], values) }));
  assert.deepEqual(
    long
      .trimEnd()
      .split('\n')
      .flatMap((line) => JSON.parse(line).outputs.y),
    values,
  );
});

test('shapes may differ between micro-batches, but a rows axis is required', async () => {
  const narrow = batch(0, { y: sharedTensor('int8', [1, 1], [1]) });
  const wide = batch(1, { y: sharedTensor('int8', [1, 2], [2, 3]) });
  assert.equal(await textOf(narrow, wide), '{"id":0,"outputs":{"y":[1]}}\n{"id":1,"outputs":{"y":[2,3]}}\n');
  const empty = batch(0, { y: sharedTensor('int8', [1, 0], []) });
  assert.equal(await textOf(empty), '{"id":0,"outputs":{"y":[]}}\n');
  const loss = { ...narrow, rows: 2 };
  await assert.rejects(textOf(loss), {
    code: 'TANDEM_OUTPUT_UNSUPPORTED',
    message: 'output "y" is [1, 1] for 2 rows: it has no rows axis',
  });
});
