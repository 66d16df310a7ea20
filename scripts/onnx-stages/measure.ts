/** One measurement, given as an `Ask`, in a separate process so that its memory contains nothing else. */
import { readFileSync } from 'node:fs';
import { onnxruntime } from '../../src/engine/onnxruntime/onnxruntime.js';
import { toOrt } from '../../src/engine/onnxruntime/ort-tensor.js';
import { openOrt } from '../../src/engine/onnxruntime/session.js';
import { weightBytes } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { sliceOf } from '../../src/model/slice.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { makePlan } from '../../src/planner/make-plan.js';
import type { Isolation } from '../../src/pool/isolation.js';
import { allocate } from '../../src/tensor.js';
import type { Facts } from '../onnx-stages.js';

const RUNS = 3;
const CPU = { provider: 'cpu', threads: 1 } as const;

/** Current and peak resident bytes of this process (Linux). */
function resident(): { now: number; peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)![1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Milliseconds that ONNX Runtime takes to load the whole file. */
async function wholeLoad(path: string): Promise<number> {
  const ort = await openOrt();
  const start = performance.now();
  await ort.InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  return performance.now() - start;
}

/** Peak bytes of ONNX Runtime alone with the whole model, over a few runs. */
async function wholeRun(path: string, facts: Facts): Promise<number> {
  const ort = await openOrt();
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const feeds = session.inputNames.map((name) => {
    const { dtype, shape } = facts[name]!;
    return [name, toOrt(ort, { dtype, shape, data: allocate(dtype, shape) })];
  });
  for (let n = 0; n < RUNS; n++) await session.run(Object.fromEntries(feeds));
  return resident().peak;
}

/** Peak bytes of each process of the pipeline of `tandem run`, over a few micro-batches, the coordinator first. */
async function pipelineRun({ path, cuts, facts, isolation }: PipelineAsk): Promise<number[]> {
  const graph = await openModel(path);
  const starts = [0, ...cuts].map((k) => graph.layers.findIndex(({ from }) => from === k));
  const stages = starts.map((from, j) => ({
    ...{ device: 'cpu', threads: 1 },
    layers: { from, to: (starts[j + 1] ?? graph.layers.length) - 1 },
  }));
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: facts[input.name]!.shape.slice(1) }));
  const microBatch = facts[graph.inputs[0]!.name]!.shape[0]!;
  const deadlineMs = 600_000;
  const plan = await makePlan(graph, { stages, isolation, microBatch, rowSpecs, deadlineMs });
  const settings = { allowFallback: false, deadlineMs };
  const pipeline = await Pipeline.openWarm(graph, plan, rowSpecs, settings, { compute: false });
  let left = RUNS;
  const fill = async () => (left-- > 0 ? microBatch : 0);
  for await (const _ of pipeline.run({ fill }));
  const peaks = await pipeline.peakRss();
  await pipeline.close();
  return [resident().peak, ...peaks.filter((peak) => peak !== null)];
}

/** Memory of ops [from, to) as a stage: before loading, after loading, and while it runs on inputs of the given facts. */
async function stage(path: string, from: number, to: number, facts: Facts): Promise<StageFigures> {
  await openOrt();
  const base = resident().now;
  const start = performance.now();
  const graph = await openModel(path);
  const slice = sliceOf(graph, from, to);
  const loaded = await onnxruntime.load(slice, CPU);
  const loadMs = performance.now() - start;
  const after = resident();
  const inputs = slice.inputs.map((name) => {
    const { dtype, shape } = facts[name]!;
    return { dtype, shape, data: allocate(dtype, shape) };
  });
  for (let n = 0; n < RUNS; n++) await loaded.run(inputs);
  return {
    base,
    loadMs,
    weights: weightBytes(graph, from, to),
    loaded: after.now,
    running: resident().now,
    peak: resident().peak,
  };
}

export interface StageFigures {
  readonly base: number;
  readonly loadMs: number;
  readonly weights: number;
  readonly loaded: number;
  readonly running: number;
  readonly peak: number;
}

interface PipelineAsk {
  readonly path: string;
  readonly facts: Facts;
  /** First ops of all stages except the first, at block boundaries. */
  readonly cuts: readonly number[];
  readonly isolation: Isolation;
}

/** Loading the whole model, running it, one stage, or all stages as a pipeline. */
export type Ask =
  | { readonly what: 'load'; readonly path: string }
  | { readonly what: 'whole'; readonly path: string; readonly facts: Facts }
  | { readonly what: 'stage'; readonly path: string; readonly from: number; readonly to: number; readonly facts: Facts }
  | ({ readonly what: 'pipeline' } & PipelineAsk);

function answer(ask: Ask): Promise<unknown> {
  if (ask.what === 'load') return wholeLoad(ask.path);
  if (ask.what === 'whole') return wholeRun(ask.path, ask.facts);
  if (ask.what === 'stage') return stage(ask.path, ask.from, ask.to, ask.facts);
  return pipelineRun(ask);
}

process.on('message', async (ask: Ask) => {
  process.send!(await answer(ask));
  process.disconnect();
});
