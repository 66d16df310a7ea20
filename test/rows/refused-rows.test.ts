/** Rows that are refused by their positions: they become failures, the others keep their values and their order, whatever has failed before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { refuseRagged, refuseRecords, refuseRows } from '../../src/rows/refused-rows.js';
import type { RowFailure } from '../../src/rows/source.js';
import { rowsOfFiles } from '../../src/tasks/images/image-rows.js';
import type { Tensor } from '../../src/tensor.js';

const FIRST = 40;
const failed = (index: number): RowFailure => ({ index, id: index, code: 'TANDEM_ROW_INVALID', message: 'it is bad' });

const rowsOfRead = fc
  .record({
    rows: fc.integer({ min: 1, max: 12 }),
    bad: fc.array(fc.nat(11)),
    refused: fc.array(fc.integer({ min: 30, max: 60 })),
  })
  .map(({ rows, bad, refused }) => ({
    rows,
    bad: [...new Set(bad)].filter((n) => n < rows).sort((a, b) => a - b),
    refused: [...new Set(refused)].map((row) => ({ row, why: 'was ended by SIGKILL' })),
  }));

test('tensors and records: what is left is what was neither bad nor refused', () => {
  fc.assert(
    fc.property(rowsOfRead, ({ rows, bad, refused }) => {
      const good = Array.from({ length: rows }, (_, n) => n).filter((n) => !bad.includes(n));
      const left = good.filter((n) => !refused.some(({ row }) => row === FIRST + n));
      const failures = bad.map((n) => failed(FIRST + n));
      const data = new Float32Array(rows * 2);
      const wide = new BigInt64Array(rows);
      for (const [place, n] of good.entries()) {
        data.set([n + 1, -n - 1], place * 2);
        wide[place] = BigInt(n + 1);
      }
      const into: Tensor[] = [
        { dtype: 'float32', shape: [rows, 2], data },
        { dtype: 'int64', shape: [rows], data: wide },
      ];
      const ids = Array.from({ length: rows }, (_, n) => `id-${n}`);
      const read = refuseRows({ rows, failures, ids }, into, FIRST, refused);
      const zeros = Array<number>(good.length - left.length).fill(0);
      const expected = [...left.map((n) => n + 1), ...zeros];
      assert.deepEqual([...wide].slice(0, good.length).map(Number), expected);
      assert.deepEqual([...data].filter((_, n) => n % 2 === 0).slice(0, good.length), expected);
      const lost = Array.from({ length: rows }, (_, n) => n).filter((n) => !left.includes(n));
      assert.deepEqual(
        read.failures.map(({ index }) => index),
        lost.map((n) => FIRST + n),
      );
      for (const { index, id, code } of read.failures) {
        if (bad.includes(index - FIRST)) assert.equal(code, 'TANDEM_ROW_INVALID');
        else assert.deepEqual([id, code], [`id-${index - FIRST}`, 'TANDEM_STAGE_DIED']);
      }
      const records = good.map((n) => ({ n }));
      const batchLines = new Set<number>();
      const recorded = refuseRecords({ rows, failures, ids, records, batchLines }, FIRST, refused);
      assert.deepEqual(
        recorded.records,
        left.map((n) => ({ n })),
      );
      assert.deepEqual(recorded.failures, read.failures);
      const ragged = good.map((n) => ({ index: FIRST + n, tensors: [] }));
      const windowed = refuseRagged({ rows, failures, ids, good: ragged }, FIRST, refused);
      assert.deepEqual(
        windowed.good.map(({ index }) => index),
        left.map((n) => FIRST + n),
      );
      assert.deepEqual(windowed.failures, read.failures);
    }),
  );
});

test('files that are rows: a refused one is not opened, and keeps its name', async () => {
  const files = Array.from({ length: 5 }, (_, n) => ({ id: `${n}.png`, path: `/photos/${n}.png` }));
  const rows = rowsOfFiles(files, 1, [{ row: 3, why: 'was ended by SIGSEGV' }]);
  const read = [...(await rows.next(2)), ...(await rows.next(9))];
  assert.deepEqual(
    read.map((row) => [row.id, 'ref' in row]),
    [
      ['1.png', true],
      ['2.png', true],
      ['3.png', false],
      ['4.png', true],
    ],
  );
});
