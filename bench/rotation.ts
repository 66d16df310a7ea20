/**
 * Bench: stages that rotate, with a quarter of their weights loaded at once, against the same stages that hold everything, cut into the same passes:
 * node dist/bench/rotation.js [--layers 8] [--block 8] [--rounds 2] [--stages 1,2] [--blocks 8]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeOnnx } from '../scripts/make-onnx.js';
import { RowBank } from '../src/bench/row-bank.js';
import { takeSample } from '../src/bench/sample.js';
import { formatBytes } from '../src/cli/bytes.js';
import { formatTable } from '../src/cli/table.js';
import { processorName } from '../src/machine/processor.js';
import { isLegalCut } from '../src/model/cut.js';
import { type ModelGraph, weightBytes } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import type { Plan } from '../src/plan/plan.js';
import type { LayerRange } from '../src/plan/stage-options.js';
import { makePlan } from '../src/planner/make-plan.js';
import { median } from '../src/planner/measure/median.js';
import { Trial } from '../src/planner/trial/trial.js';

const { values: flags } = parseArgs({
  options: {
    layers: { type: 'string', default: '8' },
    block: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
    /** Blocks of the job. The first of them fills the stages, which is a part of its time. */
    blocks: { type: 'string', default: '8' },
    stages: { type: 'string', default: '1,2' },
  },
});
const [ROWS, LENGTH] = [8, 128];
const BLOCK = Number(flags.block);
const DEADLINE_MS = 600_000;
/** BERT-large's: 50.4 MB of float32 a layer. */
const SHAPE = { layers: Number(flags.layers), hidden: 1024, heads: 16, ffn: 4096, vocabulary: 1000 };

/** Four parts of the stage's ops, about equal in weights. */
function quartersOf(graph: ModelGraph, { from, to }: LayerRange): LayerRange[] {
  const cuts = graph.layers.map((layer) => layer.from).filter((k) => from < k && k < to && isLegalCut(graph, k));
  const whole = weightBytes(graph, from, to);
  const ends = [1, 2, 3].map((n) => {
    const off = (k: number) => Math.abs(weightBytes(graph, from, k) - (n * whole) / 4);
    return cuts.reduce((best, k) => (off(k) < off(best) ? k : best));
  });
  return [from, ...ends].map((start, n) => ({ from: start, to: [...ends, to][n]! }));
}

async function measure(graph: ModelGraph, count: number): Promise<void> {
  const specs = graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? LENGTH) }));
  const rows = RowBank.random(specs);
  const depth = (count + 1) * BLOCK;
  const stages = Array.from({ length: count }, () => ({ device: 'cpu', threads: 1 }));
  const asked = { stages, microBatch: ROWS, depth, isolation: 'process' as const, rowSpecs: rows.specs };
  const plan = await makePlan(graph, { ...asked, deadlineMs: DEADLINE_MS });
  const passed = plan.stages.map((stage) => ({ ...stage, passes: quartersOf(graph, stage.ops) }));
  const ways: { readonly name: string; readonly plan: Plan }[] = [
    { name: 'hold', plan: { ...plan, stages: passed } },
    { name: 'rotate', plan: { ...plan, block: BLOCK, stages: passed.map((stage) => ({ ...stage, resident: 0 })) } },
  ];
  const trials: Trial[] = [];
  try {
    for (const way of ways) {
      trials.push(await Trial.open({ graph, plan: way.plan, rows, deadlineMs: DEADLINE_MS, allowFallback: false }));
    }
    const seconds: number[][] = ways.map(() => []);
    const workload = { rows: ROWS * BLOCK * (count === 1 ? 2 : Number(flags.blocks)), microBatch: ROWS, depth };
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const [n, trial] of trials.entries()) seconds[n]!.push((await takeSample(trial, workload)).seconds);
    }
    const uses = trials[1]!.pipeline.timeline.uses();
    const perBlock = uses.map(({ busySeconds, loadingSeconds, microBatches }) => ({
      compute: (busySeconds / microBatches) * BLOCK,
      load: (loadingSeconds / microBatches) * BLOCK,
    }));
    const predicted = Math.min(...perBlock.map(({ compute, load }) => compute / (compute + load)));
    const peaks = await Promise.all(trials.map(({ pipeline }) => pipeline.peakRss()));
    const times = seconds.map(median);
    process.stdout.write(
      `\n${count === 1 ? '1 stage' : `${count} stages`} of 1 thread, ${workload.rows / ROWS / BLOCK} blocks of ${BLOCK} micro-batches\n`,
    );
    process.stdout.write(
      `${formatTable(
        ['', 's', 'x hold', 'peak of each stage'].map((title, c) => ({ title, right: c === 1 || c === 2 })),
        ways.map(({ name }, n) => [
          name,
          times[n]!.toFixed(2),
          (times[0]! / times[n]!).toFixed(3),
          peaks[n]!.map((peak) => formatBytes(peak ?? 0)).join(', '),
        ]),
      )}\n`,
    );
    const parts = perBlock.map(
      ({ compute, load }) => `${compute.toFixed(2)} s of computing and ${load.toFixed(2)} s of loading`,
    );
    process.stdout.write(`a block takes ${parts.join('; ')}: K c / (K c + l) = ${predicted.toFixed(3)}\n`);
  } finally {
    for (const trial of trials) await trial.close();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
try {
  const graph = await openModel(makeOnnx('bert', folder, SHAPE));
  const bytes = formatBytes(weightBytes(graph, 0, graph.ops.length));
  process.stdout.write(
    `${processorName()} x ${cpus().length}, Node ${process.versions.node}; ${SHAPE.layers} layers of BERT-large, ${bytes}; micro-batches of ${ROWS} x ${LENGTH} tokens; median of ${flags.rounds} rounds\n`,
  );
  for (const count of flags.stages.split(',').map(Number)) await measure(graph, count);
} finally {
  rmSync(folder, { recursive: true });
}
