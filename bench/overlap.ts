/** Bench: how well two stages overlap: balanced and uneven cuts, both engines, threads and processes, each against the same slices run sequentially. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeModel } from '../scripts/make-model.js';
import { makeOnnx } from '../scripts/make-onnx.js';
import { caseResult, overlapOf, ratesOf } from '../src/bench/case-result.js';
import type { CaseResult, Overlap } from '../src/bench/result.js';
import { RowBank } from '../src/bench/row-bank.js';
import { type Sample, takeSample } from '../src/bench/sample.js';
import { type Estimate, ratioOf } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { processorName } from '../src/machine/processor.js';
import { isLegalCut } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { defaultDepth } from '../src/plan/plan.js';
import type { LayerRange } from '../src/plan/stage-options.js';
import { makePlan } from '../src/planner/make-plan.js';
import { median } from '../src/planner/measure/median.js';
import { Trial } from '../src/planner/trial/trial.js';
import type { Isolation } from '../src/pool/isolation.js';
import { bareWake } from './bare-wake.js';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    model: { type: 'string' },
    'micro-batch': { type: 'string', default: '64' },
    'micro-batches': { type: 'string', default: '48' },
    repetitions: { type: 'string', default: '6' },
    length: { type: 'string', default: '128' },
    isolation: { type: 'string', multiple: true, default: ['thread', 'process'] },
    json: { type: 'string' },
  },
});
const m = Number(flags['micro-batches']);
const DEADLINE_MS = 600_000;
const DEPTH = defaultDepth([{ workers: 1 }, { workers: 1 }]);

interface Subject {
  readonly name: string;
  readonly microBatch: number;
  make(folder: string): Promise<string> | string;
}

const microBatch = Number(flags['micro-batch']);
const SUBJECTS: readonly Subject[] = flags.model
  ? [{ name: flags.model, microBatch, make: () => flags.model! }]
  : [
      { name: 'tfjs, 12 dense', microBatch, make: (folder) => makeModel('dense-12', folder, { width: 1024 }) },
      { name: 'ort, 12 dense', microBatch, make: (folder) => makeOnnx('mlp', folder, { layers: 12, hidden: 1024 }) },
      {
        name: 'ort, 4 layers of BERT',
        microBatch: 2,
        make: (folder) =>
          makeOnnx('transformer', folder, { layers: 4, hidden: 768, heads: 12, ffn: 3072, positions: 512 }),
      },
    ];

interface Row {
  readonly name: string;
  readonly sequential: CaseResult;
  readonly pipelined: CaseResult;
  readonly overlap: Overlap;
  /** The pipelined run over itself, measured a second time in every repetition. */
  readonly again: Estimate;
}

const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
try {
  const rows: Row[] = [];
  for (const [n, subject] of SUBJECTS.entries()) {
    const graph = await openModel(await subject.make(join(folder, String(n))));
    for (const cut of ['balanced', 'uneven'] as const) {
      for (const isolation of flags.isolation as Isolation[]) {
        const name = `${subject.name}, ${cut}, ${isolation}`;
        if (name.includes(flags.only)) rows.push(await measure(name, graph, subject.microBatch, { cut, isolation }));
      }
    }
  }
  await report(rows);
} finally {
  rmSync(folder, { recursive: true });
}

/** Both ways of running the same two loaded slices, interleaved. */
async function measure(
  name: string,
  graph: ModelGraph,
  size: number,
  { cut, isolation }: { cut: 'balanced' | 'uneven'; isolation: Isolation },
): Promise<Row> {
  process.stderr.write(`${name} …\n`);
  const free = Number(flags.length);
  const bank = RowBank.random(
    graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? free) })),
  );
  const request = { microBatch: size, depth: DEPTH, isolation, rowSpecs: bank.specs, deadlineMs: DEADLINE_MS };
  const stages = [0, 1].map(() => ({ device: 'cpu', threads: 1 }));
  const balanced = await makePlan(graph, { ...request, stages });
  const ranges = balanced.stages.map(({ layers }) => layers);
  const layers = cut === 'balanced' ? ranges : unevenRanges(graph, ranges[0]!.to);
  const plan = await makePlan(graph, {
    ...request,
    stages: stages.map((stage, j) => ({ ...stage, layers: layers[j]! })),
  });
  const trial = await Trial.open({ graph, plan, rows: bank, deadlineMs: DEADLINE_MS, allowFallback: false });
  try {
    const workloads = [1, DEPTH, DEPTH].map((depth) => ({ rows: m * size, microBatch: size, depth }));
    const samples: Sample[][] = workloads.map(() => []);
    for (const workload of workloads) await takeSample(trial, workload);
    for (let repetition = 0; repetition < Number(flags.repetitions); repetition++) {
      const order = repetition % 2 === 0 ? [0, 1, 2] : [2, 1, 0];
      for (const c of order) samples[c]!.push(await takeSample(trial, workloads[c]!));
    }
    const measured = (c: number) => ({ name, trial, workload: workloads[c]!, samples: samples[c]! });
    const first = measured(0);
    const sequential = await caseResult({ ...first, kind: 'sequential' }, first);
    const pipelined = await caseResult({ ...measured(1), kind: 'pipelined' }, first);
    const again = ratioOf(ratesOf(samples[2]!), pipelined.repetitions);
    return { name, sequential, pipelined, overlap: overlapOf(sequential, pipelined), again };
  } finally {
    await trial.close();
  }
}

/** The legal cut that is nearest to half of the way to the balanced one. */
function unevenRanges({ layers, ...graph }: ModelGraph, balancedTo: number): LayerRange[] {
  const legal = layers.filter(({ index, from }) => index > 0 && isLegalCut({ layers, ...graph }, from));
  const wanted = (balancedTo + 1) / 2;
  const { index } = legal.toSorted((a, b) => Math.abs(a.index - wanted) - Math.abs(b.index - wanted))[0]!;
  return [
    { from: 0, to: index - 1 },
    { from: index, to: layers.length - 1 },
  ];
}

function bounds({ low, high }: Estimate): string {
  return `${low.toFixed(2)} … ${high.toFixed(2)}`;
}

async function report(rows: readonly Row[]): Promise<void> {
  const wake = median(await bareWake());
  const machine = `${processorName()} x ${cpus().length}, Node ${process.versions.node}; wake up a thread that sleeps takes ${wake.toFixed(0)} µs`;
  const titles = [
    'case',
    'sequential',
    'pipelined',
    '±',
    'A/A',
    'x sequential',
    'at 95 %',
    'limit',
    'of limit',
    'side by side',
    'of ideal',
    'stages ms',
    'hop µs',
    'coordinator µs',
    'its median',
    'rows in µs',
  ];
  const cells = rows.map(({ name, sequential, pipelined, overlap, again }) => [
    name,
    sequential.rowsPerSecond.toFixed(0),
    pipelined.rowsPerSecond.toFixed(0),
    `${(pipelined.spread * 100).toFixed(1)} %`,
    bounds(again),
    overlap.speedUp.toFixed(2),
    bounds(pipelined.toFirst),
    overlap.idealSpeedUp.toFixed(2),
    (overlap.speedUp / overlap.idealSpeedUp).toFixed(3),
    overlap.contention.toFixed(3),
    pipelined.efficiency.toFixed(3),
    pipelined.stages.map(({ seconds }) => (seconds * 1e3).toFixed(1)).join(' + '),
    (sequential.stages[1]!.hopSeconds * 1e6).toFixed(0),
    (pipelined.coordinatorSeconds * 1e6).toFixed(0),
    (pipelined.coordinatorOwnSeconds * 1e6).toFixed(0),
    (pipelined.copySeconds * 1e6).toFixed(0),
  ]);
  const columns = titles.map((title, c) => ({ title, right: c > 0 }));
  process.stdout.write(
    `${machine}\n${m} micro-batches, median of ${flags.repetitions}\n\n${formatTable(columns, cells)}\n`,
  );
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ machine, m, rows }, null, 2)}\n`);
}
