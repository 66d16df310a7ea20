/** Reads of every format: refused rows are not written, and the end of a read depends on the input alone. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSource } from '../../src/rows/open-source.js';
import { goodRows, type Source } from '../../src/rows/source.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { inputSpec, openText, tensorsFor } from '../fixtures/rows-read.js';
import { tempFolder } from '../fixtures/temp-folder.js';

interface Run {
  readonly rows: number;
  readonly refused: number[];
  /** The values that a read wrote. */
  readonly values: number[];
}

async function runsOf(source: Source, capacity: number): Promise<Run[]> {
  const into = tensorsFor(source, capacity);
  const runs: Run[] = [];
  for (;;) {
    const read = await source.read(into);
    if (read.rows === 0) break;
    const values = [...into[0]!.data.subarray(0, goodRows(read))].map(Number);
    runs.push({ rows: read.rows, refused: read.failures.map(({ index }) => index), values });
  }
  await source.close();
  return runs;
}

/** Row r is the number r, or a bad row. */
const OPEN: Record<string, (path: string, bad: readonly boolean[], firstRow: number) => Promise<Source>> = {
  jsonl: (_, bad, firstRow) =>
    openText(bad.map((isBad, row) => (isBad ? '"bad"' : `[${row}]`)).join('\n'), [inputSpec('x', 'float32', 1)], {
      firstRow,
    }),
  npy: (path, bad, firstRow) => {
    const data = floatBytes(...bad.map((isBad, row) => (isBad ? Number.NaN : row)));
    writeFileSync(path, npyBytes({ descr: '<f4', shape: [bad.length, 1], data }));
    return openSource(path, [inputSpec('x', 'float32', 1)], { firstRow });
  },
};

for (const [format, open] of Object.entries(OPEN)) {
  test(`${format}: good rows are packed in order, reads begin at multiples of the capacity, and a read that begins there gives the same rows`, async (t) => {
    const path = tempFolder(t)('rows.npy');
    const inputs = fc.record({
      bad: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
      capacity: fc.integer({ min: 1, max: 7 }),
    });
    await fc.assert(
      fc.asyncProperty(inputs, async ({ bad, capacity }) => {
        const runs = await runsOf(await open(path, bad, 0), capacity);
        const rows = [...bad.keys()];
        assert.deepEqual(
          runs.flatMap(({ values }) => values),
          rows.filter((row) => !bad[row]),
        );
        assert.deepEqual(
          runs.flatMap(({ refused }) => refused),
          rows.filter((row) => bad[row]),
        );
        assert.ok(runs.slice(0, -1).every(({ rows: taken }) => taken === capacity));
        let end = 0;
        for (const [n, run] of runs.entries()) {
          end += run.rows;
          if (end < bad.length) assert.deepEqual(await runsOf(await open(path, bad, end), capacity), runs.slice(n + 1));
        }
        assert.equal(end, bad.length);
      }),
      { numRuns: 40 },
    );
  });
}
