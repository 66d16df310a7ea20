/** Bench: an ONNX model in two one-thread stages against its sequential split, the same stages in processes, and one ORT session on two threads, interleaved: node dist/bench/onnx-split.js MODEL [--micro-batch 8] [--length 128] [--micro-batches 32] [--rounds 5] [--second LAYER] [--whole-batch ROWS: of the one session, where it is not the micro-batch] */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { RowBank } from '../src/bench/row-bank.js';
import { type Sample, takeSample } from '../src/bench/sample.js';
import { formatTable } from '../src/cli/table.js';
import { toOrt } from '../src/engine/onnxruntime/ort-tensor.js';
import { openOrt } from '../src/engine/onnxruntime/session.js';
import { processorName } from '../src/machine/processor.js';
import { openModel } from '../src/model/open.js';
import { makePlan } from '../src/planner/make-plan.js';
import { median } from '../src/planner/measure/median.js';
import { Trial } from '../src/planner/trial/trial.js';
import { zeroRows } from '../src/tensor.js';

const DEPTH = 5;
const DEADLINE_MS = 600_000;

/** Seconds of the same rows, each way. */
interface Round {
  readonly whole: number;
  readonly sequential: Sample;
  readonly pipelined: Sample;
  /** The same stages, each in a process of its own. */
  readonly processes: Sample;
}

async function main(): Promise<void> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'micro-batch': text('8'),
      length: text('128'),
      'micro-batches': text('32'),
      rounds: text('5'),
      second: { type: 'string' },
      'whole-batch': { type: 'string' },
    },
  });
  const [path] = positionals;
  if (!path)
    throw new Error('usage: node dist/bench/onnx-split.js MODEL [--micro-batch 8] [--length 128] [--rounds 5]');
  const graph = await openModel(path);
  const microBatch = Number(values['micro-batch']);
  const m = Number(values['micro-batches']);
  const wholeBatch = Number(values['whole-batch'] ?? microBatch);
  if ((m * microBatch) % wholeBatch !== 0) throw new Error(`${m * microBatch} rows are no multiple of ${wholeBatch}`);
  const bank = RowBank.random(
    graph.inputs.map((input) => ({
      ...input,
      shape: input.shape.slice(1).map((dim) => dim ?? Number(values.length)),
    })),
  );
  const second = values.second === undefined ? null : Number(values.second);
  const ranges = second && [
    { from: 0, to: second - 1 },
    { from: second, to: graph.layers.length - 1 },
  ];
  const stages = [0, 1].map((j) => ({ device: 'cpu', threads: 1, ...(ranges ? { layers: ranges[j]! } : {}) }));
  const request = { stages, microBatch, depth: DEPTH, isolation: 'thread' as const, rowSpecs: bank.specs };
  const plan = await makePlan(graph, { ...request, deadlineMs: DEADLINE_MS });
  const settings = { graph, rows: bank, deadlineMs: DEADLINE_MS, allowFallback: false };
  const trial = await Trial.open({ ...settings, plan });
  const apart = await Trial.open({ ...settings, plan: { ...plan, isolation: 'process' } });
  const runWhole = await openWhole(graph.path, wholeBatch, bank);
  const rounds: Round[] = [];
  try {
    for (let n = 0; n <= Number(values.rounds); n++) {
      // The first round warms up and does not count.
      const workload = { rows: microBatch * (n === 0 ? DEPTH : m), microBatch };
      const whole = await runWhole(Math.ceil(workload.rows / wholeBatch));
      const sequential = await takeSample(trial, { ...workload, depth: 1 });
      const pipelined = await takeSample(trial, { ...workload, depth: DEPTH });
      const processes = await takeSample(apart, { ...workload, depth: DEPTH });
      if (n > 0) rounds.push({ whole, sequential, pipelined, processes });
      process.stderr.write(`round ${n} of ${values.rounds}\n`);
    }
  } finally {
    await trial.close();
    await apart.close();
  }
  const layers = plan.stages.map((stage) => `${stage.layers.from}..${stage.layers.to}`).join(' | ');
  process.stdout.write(`${processorName()} x ${cpus().length}, Node ${process.versions.node}; layers ${layers}\n`);
  process.stdout.write(`${m} micro-batches of ${microBatch} rows, median of ${rounds.length} rounds\n\n`);
  process.stdout.write(report(rounds, { rows: m * microBatch, wholeBatch }));
}

/** Seconds that one session with two threads takes for so many batches. */
async function openWhole(path: string, batch: number, bank: RowBank): Promise<(batches: number) => Promise<number>> {
  const ort = await openOrt();
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 2, logSeverityLevel: 4 });
  const tensors = zeroRows(bank.specs, batch);
  await bank.feed({ rows: batch, microBatch: batch, depth: 1 }).fill(tensors);
  const feeds = Object.fromEntries(tensors.map((tensor, n) => [bank.specs[n]!.name, toOrt(ort, tensor)]));
  return async (batches) => {
    const begun = performance.now();
    for (let i = 0; i < batches; i++) await session.run(feeds);
    return (performance.now() - begun) / 1e3;
  };
}

/** Ratios are medians of the rounds' own, so that a slow minute of the machine weighs on both sides. */
function report(rounds: readonly Round[], { rows, wholeBatch }: { rows: number; wholeBatch: number }): string {
  const of = (value: (round: Round) => number) => median(rounds.map(value));
  const rate = (seconds: (round: Round) => number) => of((round) => rows / seconds(round)).toFixed(2);
  const pipelined = (round: Round) => round.pipelined.seconds;
  const ratio = (value: (round: Round) => number) => of(value).toFixed(3);
  const columns = [{ title: 'way' }, { title: 'rows/s', right: true }, { title: 'pipelined over it', right: true }];
  const stages = (sample: (round: Round) => Sample) =>
    [0, 1].map((j) => (of((round) => sample(round).stageSeconds[j]!) * 1e3).toFixed(0)).join(' + ');
  return `${formatTable(columns, [
    [
      `one session, 2 threads, ${wholeBatch} rows at once`,
      rate(({ whole }) => whole),
      ratio((r) => r.whole / pipelined(r)),
    ],
    [
      'split, sequential',
      rate(({ sequential }) => sequential.seconds),
      ratio((r) => r.sequential.seconds / pipelined(r)),
    ],
    [
      'split, pipelined, in processes',
      rate((r) => r.processes.seconds),
      ratio((r) => r.processes.seconds / pipelined(r)),
    ],
    ['split, pipelined', rate(pipelined), ''],
    ['  its ideal', rate((r) => r.pipelined.idealSeconds), ratio((r) => r.pipelined.idealSeconds / pipelined(r))],
  ])}\n\nstages sequential ${stages((r) => r.sequential)} ms, side by side ${stages((r) => r.pipelined)} ms\n`;
}

await main();
