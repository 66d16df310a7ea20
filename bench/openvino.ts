/** Bench: two one-thread stages of OpenVINO against OpenVINO whole and against ONNX Runtime, both ways, in interleaved rounds: node dist/bench/openvino.js [--only bert] [--rounds 6] [--micro-batches 24] */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type MakeOptions, makeOnnx } from '../scripts/make-onnx.js';
import { RowBank } from '../src/bench/row-bank.js';
import { takeSample } from '../src/bench/sample.js';
import { formatTable } from '../src/cli/table.js';
import { processorName } from '../src/machine/processor.js';
import { openModel } from '../src/model/open.js';
import { makePlan } from '../src/planner/make-plan.js';
import { geometricMean } from '../src/planner/measure/geometric-mean.js';
import { median } from '../src/planner/measure/median.js';
import { Trial } from '../src/planner/trial/trial.js';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '6' },
    'micro-batches': { type: 'string', default: '24' },
  },
});
const DEADLINE_MS = 600_000;
const DEPTH = 5;

interface Subject {
  readonly name: string;
  readonly model: string;
  readonly options: MakeOptions;
  readonly microBatch: number;
  readonly length: number;
}

const SUBJECTS: readonly Subject[] = [
  { name: 'MLP, 12 x 1024', model: 'mlp', options: { layers: 12, hidden: 1024 }, microBatch: 128, length: 1 },
  { name: 'ResNet-50', model: 'resnet-50', options: {}, microBatch: 2, length: 1 },
  { name: 'BERT-base, 4 of 12 layers', model: 'bert', options: { layers: 4 }, microBatch: 4, length: 128 },
];

/** The first is what the others are held against. */
const WAYS = [
  { name: 'OpenVINO, 2 stages x 1 thread', provider: 'openvino', stages: 2 },
  { name: 'OpenVINO whole, 2 threads', provider: 'openvino', stages: 1 },
  { name: 'ONNX Runtime, 2 stages x 1 thread', provider: 'cpu', stages: 2 },
  { name: 'ONNX Runtime whole, 2 threads', provider: 'cpu', stages: 1 },
] as const;

/** Rows per second of each way, by round. */
async function measure({ model, options, microBatch, length }: Subject, folder: string): Promise<number[][]> {
  const graph = await openModel(makeOnnx(model, folder, options));
  const specs = graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? length) }));
  const rows = RowBank.random(specs);
  const trials: Trial[] = [];
  const m = Number(flags['micro-batches']);
  const rates: number[][] = WAYS.map(() => []);
  try {
    for (const { provider, stages: count } of WAYS) {
      const stages = Array.from({ length: count }, () => ({ device: 'cpu', provider, threads: 2 / count }));
      const asked = { stages, microBatch, depth: DEPTH, isolation: 'process' as const, rowSpecs: rows.specs };
      const plan = await makePlan(graph, { ...asked, deadlineMs: DEADLINE_MS });
      trials.push(await Trial.open({ graph, plan, rows, deadlineMs: DEADLINE_MS, allowFallback: false }));
    }
    // The first round warms up.
    for (let round = 0; round <= Number(flags.rounds); round++) {
      for (const [n, trial] of trials.entries()) {
        const workload = { rows: microBatch * (round === 0 ? DEPTH : m), microBatch, depth: DEPTH };
        const { seconds } = await takeSample(trial, workload);
        if (round > 0) rates[n]!.push(workload.rows / seconds);
      }
    }
    return rates;
  } finally {
    for (const trial of trials) await trial.close();
  }
}

const over = (rates: readonly number[][], n: number) =>
  median(rates[0]!.map((rate, round) => rate / rates[n]![round]!));

const columns = ['way', 'rows/s', 'the first over it'].map((title, c) => ({ title, right: c > 0 }));
process.stdout.write(
  `${processorName()} x ${cpus().length}, Node ${process.versions.node}; median of ${flags.rounds} rounds\n`,
);
const all: number[][][] = [];
for (const subject of SUBJECTS.filter(({ name }) => name.toLowerCase().includes(flags.only))) {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  try {
    const rates = await measure(subject, folder);
    all.push(rates);
    const lines = WAYS.map(({ name }, n) => [name, median(rates[n]!).toFixed(1), over(rates, n).toFixed(3)]);
    process.stdout.write(`\n${subject.name}, micro-batches of ${subject.microBatch}\n${formatTable(columns, lines)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const means = WAYS.map(({ name }, n) => [name, '', geometricMean(all.map((rates) => over(rates, n))).toFixed(3)]);
process.stdout.write(`\nmean\n${formatTable(columns, means)}\n`);
