/** The bad-row search finds the rows that the stages cannot compute, and they do not affect any other row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, TandemError } from '../../src/errors.js';
import { findBadRows, type Rerun } from '../../src/pipeline/bad-rows.js';
import { type ChainOptions, openChain, ValuesFeed } from '../fixtures/chain.js';

const failure = (code: ErrorCode = 'TANDEM_ENGINE_FAILED') => new TandemError(code, 'it broke');
const codeIs = (code: ErrorCode) => (error: unknown) => error instanceof TandemError && error.code === code;

/** Records the attempts; `fails` decides which of them fail. */
function attempts(fails: (kept: readonly number[], nth: number) => ErrorCode | null) {
  const made: (readonly number[])[] = [];
  const rerun: Rerun = async (kept) => {
    const code = fails(kept, made.length);
    made.push(kept);
    return code && failure(code);
  };
  return { made, rerun };
}

test('all bad rows are found and no others, and the last rerun has all other rows', async () => {
  const cases = fc
    .integer({ min: 1, max: 40 })
    .chain((rows) => fc.record({ rows: fc.constant(rows), failing: fc.uniqueArray(fc.nat(rows - 1)) }));
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, failing }) => {
      const bad = new Set(failing);
      const { made, rerun } = attempts((kept) => (kept.some((row) => bad.has(row)) ? 'TANDEM_ENGINE_FAILED' : null));
      const blamed = await findBadRows(rows, rerun);
      assert.deepEqual([...blamed.keys()].sort(), [...bad].sort());
      const good = Array.from({ length: rows }, (_, row) => row).filter((row) => !bad.has(row));
      assert.deepEqual(made.at(-1), good);
      assert.ok(made.length <= 3 + 2 * rows, `${made.length} attempts for ${rows} rows`);
      if (bad.size === 1) assert.ok(made.length <= 5 + 2 * Math.log2(rows), `${made.length} for one of ${rows} rows`);
    }),
  );
});

test('a failure that does not occur again blames no row', async () => {
  const { made, rerun } = attempts(() => null);
  assert.equal((await findBadRows(8, rerun)).size, 0);
  assert.equal(made.length, 1);
});

test('a failure that zeros cause too blames no row', async () => {
  const { made, rerun } = attempts(() => 'TANDEM_STAGE_DIED');
  await assert.rejects(findBadRows(8, rerun), codeIs('TANDEM_STAGE_DIED'));
  assert.deepEqual(made.at(-1), []);
});

test('a fault at random blames no row that is good by itself', async () => {
  const random = fc.array(fc.boolean(), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(random, async (strikes) => {
      const { rerun } = attempts((kept, nth) => (kept.length > 1 && strikes[nth] ? 'TANDEM_STAGE_DIED' : null));
      assert.equal((await findBadRows(8, rerun)).size, 0);
    }),
  );
});

test('rows that fail only together are not blamed, and the failure is thrown', async () => {
  const { rerun } = attempts((kept) => (kept.length > 3 ? 'TANDEM_OUT_OF_MEMORY' : null));
  await assert.rejects(findBadRows(8, rerun), codeIs('TANDEM_OUT_OF_MEMORY'));
});

test('the number of costly failures is bounded', async () => {
  const { made, rerun } = attempts((kept) => (kept.length > 0 ? 'TANDEM_STAGE_DIED' : null));
  await assert.rejects(findBadRows(64, rerun), codeIs('TANDEM_STAGE_DIED'));
  // 4 * (log2(64) + 3) costly failures, and 8 reruns around them.
  assert.ok(made.length <= 36 + 8, `${made.length}`);
});

type Found = { value: number; code?: ErrorCode; message?: string }[];

async function run(options: ChainOptions, values: readonly number[]): Promise<Found> {
  const pipeline = await openChain(options);
  try {
    const found: Found = [];
    for await (const { rows, outputs, failed } of pipeline.run(new ValuesFeed(values))) {
      const { data } = outputs.get('y')!;
      for (let row = 0; row < rows; row++) {
        const error = failed.get(row);
        found.push({ value: Number(data[row * 4]), ...(error && { code: error.code, message: error.message }) });
      }
    }
    return found;
  } finally {
    await pipeline.close();
  }
}

/** The error code of each fault, and how many cases of it are tried: some cost a process or a deadline each time. */
const FAULTS = {
  throw: { code: 'TANDEM_ENGINE_FAILED', cases: 6 },
  'throw-foreign': { code: 'TANDEM_ENGINE_FAILED', cases: 1 },
  exit: { code: 'TANDEM_STAGE_DIED', cases: 1 },
  crash: { code: 'TANDEM_STAGE_DIED', cases: 1 },
  hang: { code: 'TANDEM_STAGE_TIMEOUT', cases: 1 },
} as const;

for (const isolation of ['thread', 'process'] as const) {
  for (const [fault, { code, cases }] of Object.entries(FAULTS)) {
    // A crash in a thread would end the test's process.
    if (fault === 'crash' && isolation === 'thread') continue;
    test(`${isolation}: rows that ${fault} are reported, and every other row has the result that it has among zeros`, async () => {
      const shapes = fc.record({
        rows: fc.integer({ min: 1, max: 26 }),
        microBatch: fc.integer({ min: 1, max: 8 }),
        fixed: fc.boolean(),
        stage: fc.integer({ min: 0, max: 1 }),
        depth: fc.integer({ min: 1, max: 5 }),
        indices: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      });
      // The corners: the first and the last row, several in one micro-batch, a last micro-batch that is not full.
      const indices = fault === 'hang' ? [9] : [0, 9, 5, 6];
      const corner = { rows: 10, microBatch: 4, fixed: true, stage: 1, depth: 3, indices };
      // Short only if the test waits for it: a busy machine must not count as a hang.
      const deadlineMs = fault === 'hang' ? 1000 : 60_000;
      await fc.assert(
        fc.asyncProperty(shapes, async ({ rows, microBatch, fixed, stage, depth, indices }) => {
          const values = Array.from({ length: rows }, (_, row) => 100 + row);
          const bad = new Set(indices.map((index) => 100 + (index % rows)));
          const providers = ['ok', 'ok'];
          providers[stage] = `rows:${[...bad].map((value) => `${fault}=${value + stage}`).join(',')}`;
          const options = { microBatch, depth, isolation, fixedBatch: fixed ? microBatch : null, deadlineMs };
          const found = await run({ ...options, providers }, values);
          const expected = values.map((value) => (bad.has(value) ? { value: 2, code } : { value: value + 2 }));
          assert.deepEqual(
            found.map(({ message, ...rest }) => rest),
            expected,
          );
        }),
        { numRuns: cases, examples: [[corner]] },
      );
    });
  }

  test(`${isolation}: a long run with occasional faults continues, and their messages are always the same`, async () => {
    const values = Array.from({ length: 80 }, (_, row) => 100 + row);
    const bad = values.filter((value) => value % 16 === 7);
    const providers = ['ok', `rows:${bad.map((value) => `exit=${value + 1}`).join(',')}`];
    const found = await run({ providers, isolation, microBatch: 4 }, values);
    assert.deepEqual(
      found.map(({ code }) => code === 'TANDEM_STAGE_DIED'),
      values.map((value) => bad.includes(value)),
    );
    const messages = new Set(found.flatMap(({ message }) => message ?? []));
    assert.equal(messages.size, 1, [...messages].join('\n'));
    assert.doesNotMatch([...messages][0]!, /\d{3,}|\//, 'neither a process number nor a path');
  });
}
