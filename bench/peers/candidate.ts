/** One candidate in Node: loads the model, reports that, and then runs all rows each time that a line comes in. See ../peers.ts. */
import { createRequire } from 'node:module';
import { basename, dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { RowBank } from '../../src/bench/row-bank.js';
import { takeSample } from '../../src/bench/sample.js';
import { openCudaLibraries } from '../../src/engine/onnxruntime/cuda-libraries.js';
import { toOrt } from '../../src/engine/onnxruntime/ort-tensor.js';
import { turnTelemetryOff } from '../../src/engine/onnxruntime/telemetry.js';
import { restoreUtil } from '../../src/engine/tfjs/native.js';
import { weightBytes } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { settlePlan } from '../../src/planner/settle.js';
import { Trial } from '../../src/planner/trial/trial.js';
import { openSource } from '../../src/rows/open-source.js';
import { type Tensor, zeroRows } from '../../src/tensor.js';
import type { Ask, Course } from './candidate-process.js';

/** Runs `rows` rows in batches; the time is taken outside. */
type Run = (course: Course) => Promise<number>;
type Peer = (ask: Ask) => Promise<{ readonly run: Run; readonly version: string }>;

const require = createRequire(import.meta.url);
const versionOf = (name: string) => require(`${name}/package.json`).version as string;
const DEADLINE_MS = 600_000;
/** Micro-batches in flight: if other work takes a core for a second, the other stage still has work. */
const DEPTH = 24;

const PEERS: Record<string, Peer> = {
  tandem,
  ort: ortOn('cpu'),
  ortBoth: ortOn('webgpu', 'cpu'),
  ortPartitioned,
  transformersJs,
  predict,
};

/** A stage for each core, cut where the planner finds that they take equally long. */
async function tandem({ model, rows, threads, largest }: Ask): ReturnType<Peer> {
  const graph = await openModel(model);
  const bank = await bankOf(model, rows);
  const plan = await settlePlan(graph, {
    stages: Array.from({ length: threads }, () => ({ device: 'cpu', threads: 1 })),
    microBatch: largest,
    depth: DEPTH,
    rowSpecs: bank.specs,
    deadlineMs: DEADLINE_MS,
    allowFallback: false,
  });
  const trial = await Trial.open({ graph, plan, rows: bank, deadlineMs: DEADLINE_MS, allowFallback: false });
  return {
    version: plan.stages.map(({ layers }) => `${layers.from}..${layers.to}`).join(' | '),
    run: async ({ batch, rows: count }) =>
      (await takeSample(trial, { rows: count, microBatch: batch, depth: plan.depth })).seconds,
  };
}

/** One session; with several providers ORT itself spreads the nodes over them. */
function ortOn(...providers: readonly string[]): Peer {
  return (ask) => ort(ask, providers);
}

/** ORT's own partitioning: one session whose first nodes are on the card until half of the weights are there, the others on the CPU. */
async function ortPartitioned(ask: Ask): ReturnType<Peer> {
  const graph = await openModel(ask.model);
  const kilobytes = Math.floor(weightBytes(graph, 0, graph.ops.length) / 2 / 1024);
  openCudaLibraries();
  // A limit in kilobytes; without a file of node statistics behind the comma it counts the weights.
  return ort(ask, ['cuda', 'cpu'], { resource_cuda_partitioning_settings: `${kilobytes},` });
}

async function ort(
  { model, rows, threads }: Ask,
  providers: readonly string[],
  session: Readonly<Record<string, string>> = {},
): ReturnType<Peer> {
  turnTelemetryOff();
  const ort = await import('onnxruntime-node');
  const options = {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    executionProviders: [...providers],
    extra: { session },
  } as const;
  const opened = await ort.InferenceSession.create(model, options);
  const bank = await bankOf(model, rows);
  const run = batches(bank, async (inputs) => {
    await opened.run(Object.fromEntries(bank.specs.map(({ name }, n) => [name, toOrt(ort, inputs[n]!)])));
  });
  return { run, version: versionOf('onnxruntime-node') };
}

async function transformersJs({ model, rows, threads }: Ask): ReturnType<Peer> {
  const own = createRequire(resolve(import.meta.dirname, '../../../bench/peers/package.json'));
  const path = own.resolve('@huggingface/transformers');
  const { AutoModel, env, Tensor: HfTensor } = await import(pathToFileURL(path).href);
  env.allowRemoteModels = false;
  const folder = dirname(dirname(model));
  env.localModelPath = dirname(folder);
  const options = { dtype: 'fp32', device: 'cpu', session_options: { intraOpNumThreads: threads } };
  const loaded = await AutoModel.from_pretrained(basename(folder), options);
  const bank = await bankOf(model, rows);
  const make = ({ dtype, shape, data }: Tensor) => new HfTensor(dtype, data, [...shape]);
  const run = batches(bank, async (inputs) => {
    await loaded(Object.fromEntries(bank.specs.map(({ name }, n) => [name, make(inputs[n]!)])));
  });
  return { run, version: env.version };
}

async function predict({ model, rows }: Ask): ReturnType<Peer> {
  restoreUtil();
  const tf = require('@tensorflow/tfjs-node') as typeof import('@tensorflow/tfjs-node');
  tf.enableProdMode();
  // It takes the rest of the address as it stands, so nothing may be escaped in it.
  const loaded = await tf.loadLayersModel(`file://${model}`);
  const bank = await bankOf(model, rows);
  const run = batches(bank, async (inputs) => {
    const fed = inputs.map(({ dtype, shape, data }) => tf.tensor(data as Float32Array, [...shape], dtype as 'float32'));
    const made = [loaded.predict(fed.length === 1 ? fed[0]! : fed, { batchSize: fed[0]!.shape[0] })].flat();
    for (const tensor of made) tensor.dataSync();
    tf.dispose([...fed, ...made]);
  });
  return { run, version: versionOf('@tensorflow/tfjs-node') };
}

/** One batch after another, each in memory of its own as a program would have it. */
function batches(bank: RowBank, once: (inputs: readonly Tensor[]) => Promise<void>): Run {
  return async ({ batch, rows }) => {
    const startedAt = performance.now();
    const feed = bank.feed({ rows, microBatch: batch, depth: 1 });
    for (;;) {
      const inputs = zeroRows(bank.specs, batch);
      if ((await feed.fill(inputs)) === 0) break;
      await once(inputs);
      feed.taken();
    }
    return (performance.now() - startedAt) / 1e3;
  };
}

async function bankOf(model: string, files: Readonly<Record<string, string>>): Promise<RowBank> {
  const graph = await openModel(model);
  const source = await openSource(new Map(Object.entries(files)), graph.inputs);
  const tensors = zeroRows(source.rowSpecs, source.rows!);
  await source.read(tensors);
  await source.close();
  return new RowBank(source.rowSpecs, tensors);
}

const ask: Ask = JSON.parse(process.argv[2]!);
const { run, version } = await PEERS[ask.peer]!(ask);
process.stdout.write(`${JSON.stringify({ ready: version })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify({ seconds: await run(JSON.parse(line)) })}\n`);
}
process.exit(0);
