/** Bench: what a hop costs, from a stage's publishing a micro-batch to the next stage's accepting it, with 4 MB of live tensors. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeModel } from '../scripts/make-model.js';
import { quantile } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { openModel } from '../src/model/open.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { makePlan, rowSpecsOf } from '../src/planner/make-plan.js';
import type { Isolation } from '../src/pool/isolation.js';
import { bareWake } from './bare-wake.js';

/** Values that live across the cut: 1024 rows of 1024 float32, 4 MB. */
const WIDTH = 1024;
const ROWS = 1024;
const STAGE = { device: 'cpu', threads: 1 };

const { values: flags } = parseArgs({ options: { 'micro-batches': { type: 'string', default: '200' } } });
const m = Number(flags['micro-batches']);

const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
try {
  await makeModel('dense-12', folder, { width: WIDTH, length: WIDTH, blocks: 2 });
  const rows: string[][] = [['bare wake of a sleeping thread', ...quantiles(await bareWake())]];
  for (const isolation of ['thread', 'process'] as const) {
    rows.push([`hop between stages, ${isolation}`, ...quantiles(await hops(isolation))]);
  }
  rows.push(['bare wake, once more', ...quantiles(await bareWake())]);
  const columns = ['microseconds', 'p10', 'median', 'p90'].map((title, c) => ({ title, right: c > 0 }));
  process.stdout.write(`${m} micro-batches of ${ROWS} rows, one in flight\n\n${formatTable(columns, rows)}\n`);
} finally {
  await rm(folder, { recursive: true });
}

/** One micro-batch in flight, so that the stage that is handed it has always been waiting, as long as the other computed. */
async function hops(isolation: Isolation): Promise<number[]> {
  const graph = await openModel(folder);
  const rowSpecs = rowSpecsOf(graph)!;
  const stages = [STAGE, STAGE];
  const plan = await makePlan(graph, { stages, isolation, depth: 1, microBatch: ROWS, rowSpecs, deadlineMs: 60_000 });
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadlineMs: 60_000 });
  try {
    await pipeline.warmUp(rowSpecs);
    let left = m;
    for await (const _ of pipeline.run({ fill: async () => (left-- > 0 ? ROWS : 0) }));
    return pipeline.timeline.spans
      .filter(({ stage }) => stage === 1)
      .map(({ readyAt, acceptedAt }) => acceptedAt - readyAt);
  } finally {
    await pipeline.close();
  }
}

function quantiles(values: readonly number[]): string[] {
  return [0.1, 0.5, 0.9].map((share) => quantile(values, share).toFixed(0));
}
