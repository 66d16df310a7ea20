/** Rows that the stages cannot compute are found, and no other row is touched by them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, TandemError } from '../../src/errors.js';
import { type Attempt, costlyTries, findPoison } from '../../src/pipeline/poison.js';
import { type ChainOptions, openChain, ValuesFeed } from '../fixtures/chain.js';

const failure = (code: ErrorCode = 'TANDEM_ENGINE_FAILED') => new TandemError(code, 'it broke');
const codeIs = (code: ErrorCode) => (error: unknown) => error instanceof TandemError && error.code === code;

/** Records the attempts; `fails` says which of them do. */
function attempts(fails: (kept: readonly number[], nth: number) => ErrorCode | null) {
  const made: (readonly number[])[] = [];
  const attempt: Attempt = async (kept) => {
    const code = fails(kept, made.length);
    made.push(kept);
    return code && failure(code);
  };
  return { made, attempt };
}

test('any poison rows are found, those alone, and the last attempt has all other rows', async () => {
  const cases = fc
    .integer({ min: 1, max: 40 })
    .chain((rows) => fc.record({ rows: fc.constant(rows), poison: fc.uniqueArray(fc.nat(rows - 1)) }));
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, poison }) => {
      const bad = new Set(poison);
      const { made, attempt } = attempts((kept) => (kept.some((row) => bad.has(row)) ? 'TANDEM_ENGINE_FAILED' : null));
      const blamed = await findPoison(rows, attempt);
      assert.deepEqual([...blamed.keys()].sort(), [...bad].sort());
      const good = Array.from({ length: rows }, (_, row) => row).filter((row) => !bad.has(row));
      assert.deepEqual(made.at(-1), good);
      assert.ok(made.length <= 3 + 2 * rows, `${made.length} attempts for ${rows} rows`);
      if (bad.size === 1) assert.ok(made.length <= 5 + 2 * Math.log2(rows), `${made.length} for one of ${rows} rows`);
    }),
  );
});

test('what passes at the second try blames nobody', async () => {
  const { made, attempt } = attempts(() => null);
  assert.equal((await findPoison(8, attempt)).size, 0);
  assert.equal(made.length, 1);
});

test('what fails with zeros as well is not the doing of the rows', async () => {
  const { made, attempt } = attempts(() => 'TANDEM_STAGE_DIED');
  await assert.rejects(findPoison(8, attempt), codeIs('TANDEM_STAGE_DIED'));
  assert.deepEqual(made.at(-1), []);
});

test('a fault that strikes at random blames no row that is good by itself', async () => {
  const random = fc.array(fc.boolean(), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(random, async (strikes) => {
      const { attempt } = attempts((kept, nth) => (kept.length > 1 && strikes[nth] ? 'TANDEM_STAGE_DIED' : null));
      assert.equal((await findPoison(8, attempt)).size, 0);
    }),
  );
});

test('rows that fail only together blame nobody, and the failure is told', async () => {
  const { attempt } = attempts((kept) => (kept.length > 3 ? 'TANDEM_OUT_OF_MEMORY' : null));
  await assert.rejects(findPoison(8, attempt), codeIs('TANDEM_OUT_OF_MEMORY'));
});

test('workers are not spent without end', async () => {
  const { made, attempt } = attempts((kept) => (kept.length > 0 ? 'TANDEM_STAGE_DIED' : null));
  await assert.rejects(findPoison(64, attempt), codeIs('TANDEM_STAGE_DIED'));
  assert.ok(made.length <= costlyTries(64) + 8, `${made.length}`);
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

/** What each fault is told as, and how many cases of it are tried: some cost a process or a deadline each time. */
const FAULTS = {
  throw: { code: 'TANDEM_ENGINE_FAILED', cases: 6 },
  'throw-foreign': { code: 'TANDEM_ENGINE_FAILED', cases: 1 },
  exit: { code: 'TANDEM_STAGE_DIED', cases: 1 },
  crash: { code: 'TANDEM_STAGE_DIED', cases: 1 },
  hang: { code: 'TANDEM_STAGE_TIMEOUT', cases: 1 },
} as const;

for (const isolation of ['thread', 'process'] as const) {
  for (const [fault, { code, cases }] of Object.entries(FAULTS)) {
    // A crash in a thread is the end of this very process.
    if (fault === 'crash' && isolation === 'thread') continue;
    test(`${isolation}: rows that ${fault} are told, and every other row is what it is beside zeros`, async () => {
      const shapes = fc.record({
        rows: fc.integer({ min: 1, max: 26 }),
        microBatch: fc.integer({ min: 1, max: 8 }),
        fixed: fc.boolean(),
        stage: fc.integer({ min: 0, max: 1 }),
        depth: fc.integer({ min: 1, max: 5 }),
        places: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      });
      // The corners: the first and the last row, several in one micro-batch, a last micro-batch that is not full.
      const places = fault === 'hang' ? [9] : [0, 9, 5, 6];
      const corner = { rows: 10, microBatch: 4, fixed: true, stage: 1, depth: 3, places };
      // Short only where it is waited for: a busy machine is no hang.
      const deadline = fault === 'hang' ? 1000 : 60_000;
      await fc.assert(
        fc.asyncProperty(shapes, async ({ rows, microBatch, fixed, stage, depth, places }) => {
          const values = Array.from({ length: rows }, (_, row) => 100 + row);
          const poison = new Set(places.map((place) => 100 + (place % rows)));
          const providers = ['ok', 'ok'];
          providers[stage] = `rows:${[...poison].map((value) => `${fault}=${value + stage}`).join(',')}`;
          const options = { microBatch, depth, isolation, fixedBatch: fixed ? microBatch : null, deadline };
          const found = await run({ ...options, providers }, values);
          const expected = values.map((value) => (poison.has(value) ? { value: 2, code } : { value: value + 2 }));
          assert.deepEqual(
            found.map(({ message, ...rest }) => rest),
            expected,
          );
        }),
        { numRuns: cases, examples: [[corner]] },
      );
    });
  }

  test(`${isolation}: a long run with a fault now and then goes on for ever, and the reasons are the same each time`, async () => {
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
