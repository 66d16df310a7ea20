/** The library: rows of a program through a pipeline, on the real engine. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openPipeline, type Row, type RowResult, TandemError } from '../../src/index.js';
import type { Tensor } from '../../src/tensor.js';

let folder: string;
let mlp: string;
let twoInTwoOut: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-library-'));
  mlp = await makeModel('mlp', join(folder, 'mlp'));
  twoInTwoOut = await makeModel('two-in-two-out', join(folder, 'two'));
});
after(() => rm(folder, { recursive: true }));

const all = async (results: AsyncIterable<RowResult>) => {
  const list: RowResult[] = [];
  for await (const result of results) list.push(result);
  return list;
};
const valuesOf = (result: RowResult) => {
  assert.ok('outputs' in result, 'error' in result ? result.error.message : '');
  return Object.values(result.outputs).map(({ data }) => [...data].map(Number));
};
const oneThread = { device: 'cpu', threads: 1 } as const;

test('nested lists, typed arrays, ids, arrays and async iterables all give the same numbers, in order', async () => {
  await using pipeline = await openPipeline(mlp, { stages: [oneThread, oneThread], microBatch: 4 });
  const width = pipeline.inputs[0]!.shape[1]!;
  const name = pipeline.inputs[0]!.name;
  const row = (seed: number) => Array.from({ length: width }, (_, k) => Math.sin(seed + k));
  const seeds = Array.from({ length: 11 }, (_, seed) => seed);
  const nested = await all(pipeline.run(seeds.map(row)));
  const typed = await all(pipeline.run(seeds.map((seed) => Float32Array.from(row(seed)))));
  const named = await all(
    pipeline.run(
      (async function* () {
        for (const seed of seeds) yield { id: `row ${seed}`, inputs: { [name]: row(seed) } };
      })(),
    ),
  );
  assert.deepEqual(nested.map(valuesOf), typed.map(valuesOf));
  assert.deepEqual(nested.map(valuesOf), named.map(valuesOf));
  assert.deepEqual(
    nested.map(({ index, id }) => [index, id]),
    seeds.map((seed) => [seed, seed]),
  );
  assert.deepEqual(
    named.map(({ id }) => id),
    seeds.map((seed) => `row ${seed}`),
  );
  assert.deepEqual(await all(pipeline.run([])), []);
});

test('a bad row is a result with its reason, and the others are as they would be without it', async () => {
  await using pipeline = await openPipeline(mlp, { stages: [oneThread, oneThread], microBatch: 4 });
  const width = pipeline.inputs[0]!.shape[1]!;
  const good = Array.from({ length: width }, (_, k) => k / width);
  const rows: Row[] = [
    good,
    good.slice(1),
    good,
    good.map(() => Number.NaN),
    new Float32Array(width + 1),
    'text',
    good,
  ];
  const results = await all(pipeline.run(rows));
  const codes = results.map((result) => ('error' in result ? result.error.code : 'ok'));
  assert.deepEqual(codes, [
    'ok',
    'TANDEM_ROW_SHAPE',
    'ok',
    'TANDEM_ROW_NOT_FINITE',
    'TANDEM_ROW_SHAPE',
    'TANDEM_ROW_SHAPE',
    'ok',
  ]);
  // The same micro-batches without the bad rows, two rows and one: one of another size may differ in its last bits.
  const without = [...(await all(pipeline.run([good, good]))), ...(await all(pipeline.run([good])))];
  for (const [n, place] of [0, 2, 6].entries()) assert.deepEqual(valuesOf(results[place]!), valuesOf(without[n]!));
});

test('several inputs and outputs go by name', async () => {
  await using pipeline = await openPipeline(twoInTwoOut, { stages: [oneThread, oneThread, oneThread] });
  const inputs = Object.fromEntries(
    pipeline.inputs.map(({ name, shape }) => [
      name,
      new Float32Array(shape.slice(1).reduce<number>((n, dim) => n * dim!, 1)).fill(0.5),
    ]),
  );
  const [result] = await all(pipeline.run([{ inputs }]));
  assert.ok(result && 'outputs' in result);
  assert.equal(Object.keys(result.outputs).length, 2);
});

test('results that are kept are not changed by later micro-batches', async () => {
  await using pipeline = await openPipeline(mlp, { stages: [oneThread], microBatch: 2 });
  const width = pipeline.inputs[0]!.shape[1]!;
  const kept: { now: number[][]; result: RowResult }[] = [];
  for await (const result of pipeline.run(Array.from({ length: 20 }, (_, r) => new Float32Array(width).fill(r / 20)))) {
    kept.push({ now: valuesOf(result), result });
  }
  for (const { now, result } of kept) assert.deepEqual(valuesOf(result), now);
});

test('leaving a run early ends the source and leaves the pipeline usable; after close it says so', async () => {
  const pipeline = await openPipeline(mlp, { stages: [oneThread, oneThread], microBatch: 2 });
  const width = pipeline.inputs[0]!.shape[1]!;
  let ended = false;
  const endless = (function* () {
    try {
      for (;;) yield new Float32Array(width);
    } finally {
      ended = true;
    }
  })();
  for await (const { index } of pipeline.run(endless)) if (index === 5) break;
  assert.ok(ended);
  assert.equal((await all(pipeline.run([new Float32Array(width)]))).length, 1);
  await pipeline.close();
  await pipeline.close();
  await assert.rejects(
    all(pipeline.run([new Float32Array(width)])),
    (error) => error instanceof TandemError && error.code === 'TANDEM_CLOSED',
  );
});

test('with plan: auto and no stages everything is measured and chosen, and the rows come out as by any plan', async (t) => {
  const cache = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  t.after(() => {
    if (cache === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cache;
  });
  await using quick = await openPipeline(mlp);
  await using pipeline = await openPipeline(mlp, { plan: 'auto' });
  const { plan } = pipeline;
  assert.equal(plan.cutBy, 'measured');
  assert.ok(plan.expected!.verified && plan.expected!.others!.length > 0, 'tried, beside others');
  const width = pipeline.inputs[0]!.shape[1]!;
  const rows = Array.from({ length: 9 }, (_, row) => Array.from({ length: width }, (_, k) => Math.sin(row + k)));
  const [expected, actual] = [await all(quick.run(rows)), await all(pipeline.run(rows))].map((each) =>
    each.map(valuesOf),
  );
  for (const [row, values] of actual!.flat().entries())
    for (const [n, value] of values.entries()) assert.ok(Math.abs(value - expected!.flat()[row]![n]!) < 1e-5);
});

test('inputs that all rows share, and rows on another axis, as the command line has them', async () => {
  const path = makeOnnx('state-beside', join(folder, 'state'));
  await assert.rejects(openPipeline(path), { code: 'TANDEM_ROWS_AXIS', message: /"sr"/ });
  const rows = Array.from({ length: 5 }, (_, n) => ({
    inputs: {
      input: Float32Array.from({ length: 6 }, (_, k) => Math.sin(n + k)),
      state: new Float32Array(8).fill(n / 9),
    },
  }));
  const results = async (options: Parameters<typeof openPipeline>[1]) => {
    await using pipeline = await openPipeline(path, { stages: [{ device: 'cpu' }], ...options });
    assert.deepEqual(
      pipeline.inputs.map(({ name, shape }) => [name, shape]),
      [
        ['input', [null, 6]],
        ['state', [null, 2, 4]],
      ],
    );
    const found: number[][] = [];
    for await (const result of pipeline.run(rows)) {
      assert.ok('outputs' in result);
      found.push(Object.values(result.outputs).flatMap(({ data }) => Array.from(data as Float32Array)));
    }
    return found;
  };
  const together = await results({ set: { sr: 8000 }, microBatch: 4 });
  assert.deepEqual(await results({ set: { sr: '8000' }, rowsAxis: { state: 1 }, microBatch: 1 }), together);
  assert.notDeepEqual(await results({ set: { sr: 16000n }, microBatch: 4 }), together);
});

test('rows that differ in length are as long as they are and as right as alone; between runs of rows of one length, and before longer ones', async () => {
  const model = makeOnnx('transformer', join(folder, 'transformer'));
  const ids = (length: number, seed: number) => Array.from({ length }, (_, n) => (seed * 7 + n * 3) % 40);
  const rows = Array.from({ length: 40 }, (_, n) => ids(1 + ((n * 5) % 17), n));
  const given = (row: readonly number[]) => ({ inputs: { input_ids: row } });
  const whole = (row: readonly number[]) => ({ inputs: { input_ids: row, attention_mask: row.map(() => 1) } });
  await using pipeline = await openPipeline(model, { stages: [oneThread, oneThread], microBatch: 4 });
  const alone: RowResult[] = [];
  for (const row of rows) alone.push(...(await all(pipeline.run([whole(row)]))));
  const near = (found: readonly RowResult[], expected: readonly RowResult[]) => {
    assert.equal(found.length, expected.length);
    for (const [n, result] of found.entries()) {
      const other = expected[n]!;
      assert.ok('outputs' in result && 'outputs' in other, JSON.stringify(result));
      for (const [name, { shape, data }] of Object.entries(other.outputs)) {
        const own: Tensor = result.outputs[name]!;
        assert.deepEqual(own.shape, shape, `row ${n}, ${name}`);
        for (let i = 0; i < data.length; i++) assert.ok(Math.abs(Number(own.data[i]) - Number(data[i])) < 2e-5);
      }
    }
  };
  const mixed = await all(pipeline.run(rows.map(given)));
  near(mixed, alone);
  assert.deepEqual(
    mixed.map(({ index }) => index),
    rows.map((_, n) => n),
  );
  near(await all(pipeline.run(rows.slice(0, 1).map(whole))), alone.slice(0, 1));
  const withBad = await all(pipeline.run([...rows.slice(0, 3).map(given), given([]), ...rows.slice(3, 6).map(given)]));
  assert.ok('error' in withBad[3]! && withBad[3].error.code === 'TANDEM_ROW_SHAPE');
  near(withBad.toSpliced(3, 1), alone.slice(0, 6));
  const longer = [ids(5, 1), ids(30, 2), ids(9, 3)];
  const found = await all(pipeline.run(longer.map(given)));
  const expected: RowResult[] = [];
  for (const row of longer) expected.push(...(await all(pipeline.run([whole(row)]))));
  near(found, expected);
  assert.deepEqual(await all(pipeline.run([])), []);
});
