/** Bench: rows of log-normal length through a small text encoder, by token budget and by the multiple that lengths are rounded up to. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeOnnx } from '../scripts/make-onnx.js';
import { formatTable } from '../src/cli/table.js';
import { planForLengths, type TypicalRows } from '../src/job/windows/plan-lengths.js';
import { runWindows } from '../src/job/windows/run-windows.js';
import { fedInputs } from '../src/model/fed-inputs.js';
import { openModel } from '../src/model/open.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { rowsAt } from '../src/plan/length-plan.js';
import { makePlan } from '../src/planner/make-plan.js';
import type { RaggedRow, RaggedSource } from '../src/rows/ragged-source.js';
import type { TensorSpec } from '../src/tensor.js';
import { raggedLengths } from '../test/fixtures/ragged-lengths.js';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '600' },
    tokens: { type: 'string', default: '512,1024,2048,4096' },
    multiples: { type: 'string', default: '1,4,8,16' },
    rounds: { type: 'string', default: '2' },
  },
});
const numbers = (text: string) => text.split(',').map(Number);
const rows = Number(flags.rows);
const LONGEST = 512;
/** Three quarters of all-MiniLM-L6-v2. */
const SHAPE = { layers: 6, hidden: 384, heads: 12, ffn: 1536, vocabulary: 1000 };

const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
try {
  makeOnnx('bert', folder, SHAPE);
  const cases = numbers(flags.tokens).flatMap((tokens) =>
    numbers(flags.multiples).map((multiple) => ({ tokens, multiple })),
  );
  const best = new Map<string, { seconds: number; padding: number; shapes: number; batches: number }>();
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const each of cases) {
      const found = await measure(each);
      const key = JSON.stringify(each);
      const before = best.get(key);
      best.set(key, before && before.seconds < found.seconds ? before : found);
    }
  }
  const table = [...best].map(([key, { seconds, padding, shapes, batches }]) => {
    const { tokens, multiple } = JSON.parse(key) as (typeof cases)[number];
    return [tokens, multiple, (rows / seconds).toFixed(1), (100 * padding).toFixed(1), batches, shapes].map(String);
  });
  const columns = ['tokens', 'multiple', 'rows per CPU second', 'padding %', 'micro-batches', 'shapes'];
  process.stdout.write(
    `${formatTable(
      columns.map((title) => ({ title, right: true })),
      table,
    )}\n`,
  );
} finally {
  await rm(folder, { recursive: true });
}

async function measure({ tokens, multiple }: { tokens: number; multiple: number }) {
  const graph = await openModel(folder);
  const specs: TensorSpec[] = fedInputs(graph).map((spec) => ({ ...spec, shape: [null] }));
  const lengths = raggedLengths(rows, { median: 59, mean: 88, most: LONGEST });
  const good = lengths.map((length, index): RaggedRow => {
    const tensors = specs.map(({ name, dtype }) => {
      const data = new BigInt64Array(length).fill(1n);
      if (name === 'input_ids') for (let n = 0; n < length; n++) data[n] = BigInt((index * 31 + n * 7) % 1000);
      return { dtype, shape: [length], data };
    });
    return { index, tensors };
  });
  let at = 0;
  const counts = new Map<number, number>();
  for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1);
  const survey = { lengths: counts, isWhole: true, largest: specs.map(() => [LONGEST]), limit: null, cut: 0 };
  const ragged: RaggedSource = {
    ...{ rows, specs, padding: specs.map(() => 0) },
    survey: async () => survey,
    read: async (most) => {
      const taken = good.slice(at, at + most);
      at += taken.length;
      return { rows: taken.length, good: taken, failures: [], ids: null };
    },
    close: async () => {},
  };
  const rowSpecs = specs.map((spec) => ({ ...spec, shape: [128] }));
  const typical: TypicalRows = { rowSpecs, rows, length: 128, perRow: 1 };
  const stages = [{ device: 'cpu', threads: 1 }];
  const asked = { stages, isolation: 'thread', microBatch: 8, rowSpecs: typical.rowSpecs, deadlineMs: 60_000 } as const;
  const made = { ...(await makePlan(graph, asked)), batchInvariant: true };
  const request = { survey, source: ragged, microBatch: undefined, hasBudget: false };
  const plan = planForLengths(made, request, typical, { apart: true, padded: true });
  const own = { ...plan.lengths!, tokens, multiple };
  const longest = LONGEST;
  const largest = specs.map(() => [longest]);
  const all = { ...own, longest, largest, tokens: Math.max(tokens, longest), shortest: multiple };
  const mine = { ...plan, microBatch: rowsAt(all, 256, multiple), lengths: all };
  const pipeline = await Pipeline.open(graph, mine, { allowFallback: false, deadlineMs: 60_000 });
  try {
    await pipeline.warmUp(
      specs.map((spec) => ({ ...spec, shape: [longest] })),
      specs,
    );
    const before = process.cpuUsage();
    const shapes = new Set<string>();
    let padded = 0;
    let batches = 0;
    const finish = (
      outputs: ReadonlyMap<string, { readonly shape: readonly number[] }>,
      taken: readonly RaggedRow[],
    ) => {
      const [count, length] = outputs.get('last_hidden_state')!.shape;
      shapes.add(`${count} x ${length}`);
      padded += taken.length * length!;
      batches += 1;
      return new Map();
    };
    for await (const _ of runWindows(pipeline, { ragged, finish }));
    const { user, system } = process.cpuUsage(before);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    return { seconds: (user + system) / 1e6, padding: 1 - total / padded, shapes: shapes.size, batches };
  } finally {
    await pipeline.close();
  }
}
