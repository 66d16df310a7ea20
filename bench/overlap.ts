/** Bench: how well two stages overlap, on a balanced model, against the same slices one after another and the model unsplit. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeModel } from '../scripts/make-model.js';
import { median, spread } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { openModel } from '../src/model/open.js';
import type { Feed } from '../src/pipeline/micro-batch.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { predict } from '../src/pipeline/schedule.js';
import { makePlan } from '../src/plan/make-plan.js';
import type { StageOptions } from '../src/plan/plan.js';
import type { Isolation } from '../src/pool/isolation.js';
import { bareWake } from './bare-wake.js';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    width: { type: 'string', default: '1024' },
    'micro-batch': { type: 'string', default: '64' },
    'micro-batches': { type: 'string', default: '32' },
    repetitions: { type: 'string', default: '7' },
    free: { type: 'string', default: '128' },
    isolation: { type: 'string', multiple: true, default: ['thread', 'process'] },
    json: { type: 'string' },
  },
});
const m = Number(flags['micro-batches']);
const microBatch = Number(flags['micro-batch']);
const repetitions = Number(flags.repetitions);

const oneThread: StageOptions = { device: 'cpu', threads: 1 };
interface Case {
  readonly name: string;
  readonly stages: readonly StageOptions[];
  readonly isolation: Isolation;
  readonly depth?: number;
}
/** The first is what the others are compared with. */
const CASES: Case[] = flags.isolation.flatMap((isolation): Case[] => [
  {
    name: `sequential split, ${isolation}`,
    stages: [oneThread, oneThread],
    isolation: isolation as Isolation,
    depth: 1,
  },
  { name: `pipelined, ${isolation}`, stages: [oneThread, oneThread], isolation: isolation as Isolation },
]);
CASES.push(
  { name: 'whole model, 1 thread', stages: [oneThread], isolation: 'process', depth: 2 },
  { name: 'whole model, 2 threads', stages: [{ device: 'cpu', threads: 2 }], isolation: 'process', depth: 2 },
);

const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
try {
  const path = flags.model ?? (await makeDense(folder));
  await bench(path);
} finally {
  await rm(folder, { recursive: true });
}

async function makeDense(into: string): Promise<string> {
  await makeModel('dense-12', into, { width: Number(flags.width) });
  return into;
}

async function bench(path: string): Promise<void> {
  const graph = await openModel(path);
  // Dimensions that the model leaves open, such as the length of a text.
  const free = Number(flags.free);
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? free) }));
  const pipelines: Pipeline[] = [];
  for (const { stages, isolation, depth } of CASES) {
    const plan = await makePlan(graph, { stages, isolation, depth, microBatch, rowSpecs, deadline: 600_000 });
    const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadline: 600_000 });
    await pipeline.warmUp(rowSpecs);
    await timeRun(pipeline);
    pipelines.push(pipeline);
  }
  // Interleaved, so that a machine that changes its speed changes it for all.
  const runs: Run[][] = CASES.map(() => []);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const [c, pipeline] of pipelines.entries()) runs[c]!.push(await timeRun(pipeline));
  }
  await Promise.all(pipelines.map((pipeline) => pipeline.close()));
  await report(path, runs);
}

interface Run {
  readonly seconds: number;
  /** Mean seconds of a micro-batch in each stage of this run. */
  readonly stageSeconds: readonly number[];
  /** Seconds that these stages would take if nothing but them took time. */
  readonly ideal: number;
  /** Microseconds in which a micro-batch lay ready for the last stage and its worker was free. */
  readonly hops: readonly number[];
}

async function timeRun(pipeline: Pipeline): Promise<Run> {
  const { stages } = pipeline.plan;
  let left = m;
  const feed: Feed = { fill: async (into) => (left-- > 0 ? into[0]!.shape[0]! : 0) };
  const startedAt = performance.now();
  for await (const _ of pipeline.run(feed));
  const seconds = (performance.now() - startedAt) / 1000;
  const { spans } = pipeline.timeline;
  const stageSeconds = stages.map((_, stage) => {
    const own = spans.filter((span) => span.stage === stage);
    return own.reduce((sum, { acceptedAt, finishedAt }) => sum + finishedAt - acceptedAt, 0) / own.length / 1e6;
  });
  const ideal = predict(
    stageSeconds.map((each, j) => ({ seconds: each, workers: stages[j]!.workers })),
    m,
    pipeline.plan.depth,
  ).seconds;
  const last = spans.filter(({ stage }) => stage === stages.length - 1);
  const hops = last.map(({ readyAt, acceptedAt }, n) => acceptedAt - Math.max(readyAt, last[n - 1]?.finishedAt ?? 0));
  return { seconds, stageSeconds, ideal, hops };
}

async function report(path: string, runs: readonly (readonly Run[])[]): Promise<void> {
  const baseline = median(runs[0]!.map(({ seconds }) => seconds));
  const results = CASES.map(({ name }, c) => {
    const seconds = runs[c]!.map((run) => run.seconds);
    return {
      name,
      rowsPerSecond: (m * microBatch) / median(seconds),
      spread: spread(seconds),
      speedUp: baseline / median(seconds),
      ofIdeal: median(runs[c]!.map((run) => run.ideal / run.seconds)),
      stageMilliseconds: runs[c]![0]!.stageSeconds.map(
        (_, j) => median(runs[c]!.map((run) => run.stageSeconds[j]!)) * 1e3,
      ),
      hopMicroseconds: median(runs[c]!.flatMap(({ hops }) => hops)),
    };
  });
  const wake = await bareWake();
  const machine = `${cpus()[0]?.model.trim()} x ${cpus().length}, Node ${process.versions.node}; waking a thread that sleeps takes ${wake.toFixed(0)} µs`;
  const columns = ['case', 'rows/s', '±', 'x baseline', 'of ideal', 'stages ms', 'hop µs'].map((title, c) => ({
    title,
    right: c > 0,
  }));
  const rows = results.map((result) => [
    result.name,
    result.rowsPerSecond.toFixed(0),
    `${(result.spread * 100).toFixed(1)} %`,
    result.speedUp.toFixed(2),
    result.ofIdeal.toFixed(3),
    result.stageMilliseconds.map((ms) => ms.toFixed(1)).join(' + '),
    result.hopMicroseconds.toFixed(0),
  ]);
  process.stdout.write(
    `${machine}\n${path}: ${m} micro-batches of ${microBatch} rows, median of ${repetitions}\n\n${formatTable(columns, rows)}\n`,
  );
  if (flags.json)
    await writeFile(flags.json, `${JSON.stringify({ machine, m, microBatch, repetitions, results }, null, 2)}\n`);
}
