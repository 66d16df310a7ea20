/** A source reads back what a sink wrote, bit by bit: every element type, any shape, any micro-batches. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSink } from '../../src/output/open-sink.js';
import { BFLOAT16, FLOAT16, fromWord } from '../../src/rows/half-float.js';
import { openSource } from '../../src/rows/open-source.js';
import { bytesOf, DTYPES, type DType, type Tensor } from '../../src/tensor.js';
import { batch, failedRow, sharedTensor } from '../fixtures/rows-done.js';
import { inputSpec, openText, readAll } from '../fixtures/rows-read.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const finiteWord = (type: typeof FLOAT16) =>
  fc.integer({ min: 0, max: 65535 }).filter((word) => Number.isFinite(fromWord(word, type)));

/** Elements that every format can hold: finite, and 64-bit integers within what a JSON number keeps. */
const ELEMENTS: Record<DType, fc.Arbitrary<number | bigint>> = {
  float32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  float16: finiteWord(FLOAT16),
  bfloat16: finiteWord(BFLOAT16),
  bool: fc.integer({ min: 0, max: 1 }),
  int8: fc.integer({ min: -128, max: 127 }),
  uint8: fc.integer({ min: 0, max: 255 }),
  int16: fc.integer({ min: -32768, max: 32767 }),
  uint16: fc.integer({ min: 0, max: 65535 }),
  int32: fc.integer(),
  uint32: fc.integer({ min: 0, max: 0xffffffff }),
  int64: fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
};

interface Job {
  readonly rowShape: number[];
  /** All rows, flattened. */
  readonly values: (number | bigint)[];
  /** Rows of each micro-batch. */
  readonly divided: number[];
  readonly failed: Set<number>;
  readonly capacity: number;
}

function jobs(dtype: DType): fc.Arbitrary<Job> {
  const shape = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
  const divided = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
  return fc.tuple(shape, divided, fc.integer({ min: 1, max: 5 })).chain(([rowShape, parts, capacity]) => {
    const rows = parts.reduce((a, b) => a + b);
    const length = rows * rowShape.reduce((a, b) => a * b, 1);
    return fc.record({
      rowShape: fc.constant(rowShape),
      values: fc.array(ELEMENTS[dtype], { minLength: length, maxLength: length }),
      divided: fc.constant(parts),
      // The first row is good, so that it sets the sizes.
      failed: fc
        .uniqueArray(fc.integer({ min: 1, max: rows }))
        .map((list) => new Set(list.filter((row) => row < rows))),
      capacity: fc.constant(capacity),
    });
  });
}

async function writeJob(path: string, dtype: DType, { rowShape, values, divided, failed }: Job): Promise<Tensor> {
  const sink = await openSink(path, { force: true });
  const width = values.length / divided.reduce((a, b) => a + b);
  const rowOf = (row: number) => values.slice(row * width, (row + 1) * width);
  let firstRow = 0;
  for (const rows of divided) {
    const run = Array.from({ length: rows }, (_, n) => firstRow + n);
    // Some rows were refused while they were read; the others failed in a stage.
    const isRefused = (row: number) => failed.has(row) && row % 2 === 1;
    const placed = run.filter((row) => !isRefused(row));
    const y = sharedTensor(dtype, [placed.length, ...rowShape], placed.flatMap(rowOf));
    const rowsFailed = placed.filter((row) => failed.has(row)).map((row) => failedRow(row));
    const refused = run.filter(isRefused).map((row) => failedRow(row));
    await sink.write({ ...batch(firstRow, { y }, { failed: rowsFailed }), rows, failures: refused });
    firstRow += rows;
  }
  await sink.finish();
  return sharedTensor(dtype, [firstRow, ...rowShape], values);
}

/** The bytes of all rows as they are read back: failed rows of floats are NaN and are refused; those of other types are zeros. */
function bytesWithout(failed: ReadonlySet<number>, { dtype, data, shape }: Tensor): Buffer {
  const width = data.byteLength / shape[0]!;
  const rows = Array.from({ length: shape[0]! }, (_, row) => {
    if (!failed.has(row)) return Buffer.from(bytesOf(data)).subarray(row * width, (row + 1) * width);
    return Buffer.alloc(dtype.startsWith('float') ? 0 : width);
  });
  return Buffer.concat(rows);
}

for (const dtype of DTYPES) {
  for (const format of ['npy', 'npz']) {
    if (dtype === 'bfloat16') continue;
    test(`${format}: ${dtype}`, async (t) => {
      const path = tempFolder(t)(`out.${format}`);
      await fc.assert(
        fc.asyncProperty(jobs(dtype), async (job) => {
          const written = await writeJob(path, dtype, job);
          const source = await openSource(path, [inputSpec('y', dtype, ...job.rowShape.map(() => null))]);
          assert.deepEqual(source.rowSpecs[0]!.shape, job.rowShape);
          const all = await readAll(source, job.capacity);
          assert.deepEqual(all.bytes[0], bytesWithout(job.failed, written));
          // Failed rows of floats are NaN in the file, and fail again; those of other types are zeros.
          const expected = dtype.startsWith('float') ? [...job.failed].sort((a, b) => a - b) : [];
          assert.deepEqual(
            all.failures.map(({ index }) => index),
            expected,
          );
        }),
        { numRuns: 6 },
      );
    });
  }

  test(`jsonl: ${dtype}`, async (t) => {
    const path = tempFolder(t)('out.jsonl');
    await fc.assert(
      fc.asyncProperty(jobs(dtype), async (job) => {
        const written = await writeJob(path, dtype, job);
        const text = readFileSync(path, 'utf8').replaceAll('"outputs"', '"inputs"');
        const all = await readAll(
          await openText(text, [inputSpec('y', dtype, ...job.rowShape.map(() => null))]),
          job.capacity,
        );
        assert.deepEqual(all.failures, []);
        const good = [...new Array(written.shape[0]!).keys()].filter((row) => !job.failed.has(row));
        assert.deepEqual(all.ids, good);
        const width = written.data.byteLength / written.shape[0]!;
        const rows = good.map((row) => Buffer.from(bytesOf(written.data)).subarray(row * width, (row + 1) * width));
        assert.deepEqual(all.bytes[0], Buffer.concat(rows));
      }),
      { numRuns: 6 },
    );
  });
}

test('infinities survive in NPY', async (t) => {
  const path = tempFolder(t)('out.npy');
  const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  await writeJob(path, 'float32', { rowShape: [], values, divided: [3], failed: new Set(), capacity: 1 });
  const all = await readAll(await openSource(path, [inputSpec('x', 'float32')], { allowNonFinite: true }));
  assert.deepEqual(all.failures, []);
  assert(all.values[0]!.every((value, n) => Object.is(value, values[n])));
});
