/** One contender in Node: loads the model, says so, and then runs all rows each time that a line comes in. See ../peers.ts. */
import { createRequire } from 'node:module';
import { basename, dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { RowBank } from '../../src/bench/row-bank.js';
import { Trial } from '../../src/bench/trial.js';
import { restoreUtil } from '../../src/engine/tfjs/native.js';
import { openSource } from '../../src/job/open-source.js';
import { openModel } from '../../src/model/open.js';
import { settlePlan } from '../../src/pipeline/settle-plan.js';
import { type Tensor, zeroRows } from '../../src/tensor.js';
import type { Ask, Course } from './contender-process.js';

/** Runs `rows` rows in batches; the time is taken outside. */
type Run = (course: Course) => Promise<number>;
type Peer = (ask: Ask) => Promise<{ readonly run: Run; readonly version: string }>;

const require = createRequire(import.meta.url);
const versionOf = (name: string) => require(`${name}/package.json`).version as string;
const DEADLINE = 600_000;
/** Micro-batches in flight: where others take a core away for a second, the other stage has something to go on with. */
const DEPTH = 24;

const PEERS: Record<string, Peer> = {
  tandem,
  ort: ortOn('cpu'),
  ortBoth: ortOn('webgpu', 'cpu'),
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
    deadline: DEADLINE,
    allowFallback: false,
  });
  const trial = await Trial.open({ graph, plan, bank, deadline: DEADLINE, allowFallback: false });
  return {
    version: plan.stages.map(({ layers }) => `${layers.from}..${layers.to}`).join(' | '),
    run: async ({ batch, rows: count }) =>
      (await trial.run({ rows: count, microBatch: batch, depth: plan.depth })).seconds,
  };
}

/** One session; with several providers ORT itself spreads the nodes over them. */
function ortOn(...providers: readonly string[]): Peer {
  return (ask) => ort(ask, providers);
}

async function ort({ model, rows, threads }: Ask, providers: readonly string[]): ReturnType<Peer> {
  const { InferenceSession, Tensor: OrtTensor } = await import('onnxruntime-node');
  const options = {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    executionProviders: [...providers],
  } as const;
  const session = await InferenceSession.create(model, options);
  const bank = await bankOf(model, rows);
  const make = ({ dtype, shape, data }: Tensor) => new OrtTensor(dtype as 'float32', data as Float32Array, shape);
  const run = batches(bank, async (inputs) => {
    await session.run(Object.fromEntries(bank.specs.map(({ name }, n) => [name, make(inputs[n]!)])));
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
