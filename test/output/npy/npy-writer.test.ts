/** Rows as NPY: exact bytes, failed rows in place, the count set at the end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { openSink } from '../../../src/output/open-sink.js';
import type { Sink } from '../../../src/output/sink.js';
import type { Tensor } from '../../../src/tensor.js';
import { drain } from '../../fixtures/drain.js';
import { floatBytes } from '../../fixtures/npy-bytes.js';
import { batch, failedRow, sharedTensor } from '../../fixtures/rows-done.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

function npy128(dict: string, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'), Buffer.from(`${dict.padEnd(117)}\n`), data]);
}

const FOUR_ROWS = npy128(
  "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }",
  floatBytes(1, 2, Number.NaN, Number.NaN, 5, 6, 7, 8),
);

async function writeFour(sink: Sink): Promise<void> {
  await sink.write(batch(0, { y: sharedTensor('float32', [3, 2], [1, 2, 3, 4, 5, 6]) }, { failed: [failedRow(1)] }));
  await sink.write(batch(3, { y: sharedTensor('float32', [1, 2], [7, 8]) }));
}

test('to a file: the count is set at the end', async (t) => {
  const path = tempFolder(t)('out.npy');
  const sink = await openSink(path);
  await writeFour(sink);
  await sink.finish();
  assert.deepEqual(readFileSync(path), FOUR_ROWS);
});

test('abandoned: the rows so far are a complete array', async (t) => {
  const path = tempFolder(t)('out.npy');
  const sink = await openSink(path);
  await writeFour(sink);
  await sink.abandon();
  assert.deepEqual(readFileSync(`${path}.partial`), FOUR_ROWS);
});

test('to stdout: the same bytes, with the known count', async () => {
  const stdout = new PassThrough();
  const sink = await openSink('-', { format: 'npy', stdout, rows: 4 });
  await writeFour(sink);
  await sink.finish();
  assert.deepEqual(drain(stdout), FOUR_ROWS);
});

test('to stdout: fewer rows than in the header are an error', async () => {
  const sink = await openSink('-', { format: 'npy', stdout: new PassThrough(), rows: 5 });
  await writeFour(sink);
  await assert.rejects(sink.finish(), {
    code: 'TANDEM_OUTPUT_FAILED',
    message: 'the header has 5 rows, but 4 were written',
  });
});

test('failed rows are NaN in floats and zero in other types; the tensors of the caller are not changed', async (t) => {
  const path = tempFolder(t)('out.npy');
  const cases: [Tensor, string][] = [
    [sharedTensor('float64', [2], [1, 1]), '000000000000f87f'],
    [sharedTensor('float16', [2], [1, 1]), '007e'],
    [sharedTensor('int64', [2], [1n, 1n]), '0000000000000000'],
    [sharedTensor('bool', [2], [1, 1]), '00'],
    [sharedTensor('uint16', [2], [1, 1]), '0000'],
  ];
  for (const [tensor, hex] of cases) {
    const sink = await openSink(path, { force: true });
    const before = [...tensor.data];
    await sink.write(batch(0, { y: tensor }, { failed: [failedRow(1)] }));
    await sink.finish();
    assert(readFileSync(path).toString('hex').endsWith(hex), tensor.dtype);
    assert.deepEqual([...tensor.data], before);
  }
});

test('rows that do not fit into one array are refused', async (t) => {
  const at = tempFolder(t);
  const attempts: [Parameters<typeof batch>[1][], RegExp][] = [
    [
      [{ a: sharedTensor('int8', [1], [1]), b: sharedTensor('int8', [1], [1]) }],
      /one array, but the model has 2 outputs: a, b/,
    ],
    [[{ y: sharedTensor('bfloat16', [1], [1]) }], /NumPy has no bfloat16/],
    [
      [{ y: sharedTensor('int8', [1, 2], [1, 2]) }, { y: sharedTensor('int8', [1, 3], [1, 2, 3]) }],
      /output "y" is int8 \[\?, 3\] here but was int8 \[\?, 2\] in the first rows/,
    ],
    [
      [{ y: sharedTensor('int8', [1], [1]) }, { y: sharedTensor('uint8', [1], [1]) }],
      /output "y" is uint8 \[\?\] here but was int8 \[\?\]/,
    ],
  ];
  for (const [n, [outputs, message]] of attempts.entries()) {
    const sink = await openSink(at(`out${n}.npy`));
    const write = async () => {
      for (const [row, one] of outputs.entries()) await sink.write(batch(row, one));
    };
    await assert.rejects(write(), { code: 'TANDEM_OUTPUT_UNSUPPORTED', message, remedy: /\.jsonl/ });
    await sink.abandon();
  }
  const empty = await openSink(at('empty.npy'));
  await assert.rejects(empty.finish(), { code: 'TANDEM_OUTPUT_FAILED', message: /there were no rows/ });
});
