/** The WebGPU providers of both engines, as a GPU pool with a CPU pool, on a software adapter: the results are right, and the adapter is named. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openModel } from '../../src/model/open.js';
import type { Feed } from '../../src/pipeline/micro-batch.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import type { StageOptions } from '../../src/plan/stage-options.js';
import { makePlan } from '../../src/planner/make-plan.js';
import type { Isolation } from '../../src/pool/isolation.js';
import { seeded, seededValues } from '../../src/prove/models/seeded.js';
import { bytesOf, type Tensor } from '../../src/tensor.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { tensorflow } from '../fixtures/tfjs-runs.js';

const card = useSoftwareCard();
const folder = mkdtempSync(join(tmpdir(), 'tandem-webgpu-'));
after(() => rm(folder, { recursive: true }));

/** Shaders sum in another order than the CPU's kernels; what they give for values around 1 differs by less than this. */
const TOLERANCE = 1e-4;
/** Dimensions that a model leaves open, such as the length of a text. */
const FREE = 5;
const MICRO_BATCH = 3;
const MICRO_BATCHES = 2;
const DEADLINE_MS = 120_000;

const CPU: StageOptions = { device: 'cpu', threads: 1 };
const CARD: StageOptions = { device: 'gpu', provider: 'webgpu', threads: 1 };

interface Model {
  readonly make: (into: string) => string | Promise<string>;
  readonly skip: string | false;
  /** Workers on the card: two, and it need not wait while a result is copied back. */
  readonly workers?: number;
}
const MODELS: Record<string, Model> = {
  'tfjs, a LayersModel': { make: (into) => makeModel('mlp', into), skip: card.skip || tensorflow.skip },
  'tfjs, a GraphModel': {
    make: (into) => makeModel('residual-cnn-graph', into),
    skip: card.skip || tensorflow.skip,
    workers: 2,
  },
  'onnxruntime, an mlp': { make: (into) => makeOnnx('mlp', into), skip: card.skip },
  'onnxruntime, a transformer': { make: (into) => makeOnnx('transformer', into), skip: card.skip },
};

/** Seeded micro-batches, the same ones every time. */
class SeededFeed implements Feed {
  #left = MICRO_BATCHES;

  async fill(into: readonly Tensor[]): Promise<number> {
    if (this.#left-- === 0) return 0;
    for (const [n, { dtype, shape, data }] of into.entries()) {
      const values = seededValues(dtype, shape as number[], 1, seeded(100 * this.#left + n));
      bytesOf(data).set(bytesOf(values));
    }
    return MICRO_BATCH;
  }
}

async function open(path: string, stages: readonly StageOptions[], isolation: Isolation, allowFallback = true) {
  const graph = await openModel(path);
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? FREE) }));
  const request = { stages, isolation, microBatch: MICRO_BATCH, rowSpecs, deadlineMs: DEADLINE_MS };
  const pipeline = await Pipeline.open(graph, await makePlan(graph, request), {
    allowFallback,
    deadlineMs: DEADLINE_MS,
  });
  await pipeline.warmUp(rowSpecs);
  return pipeline;
}

/** All outputs of all rows, flat, and what the first stage ran on. */
async function run(path: string, stages: readonly StageOptions[], isolation: Isolation) {
  const pipeline = await open(path, stages, isolation);
  try {
    const values: number[] = [];
    for await (const { outputs } of pipeline.run(new SeededFeed()))
      for (const { data } of outputs.values()) values.push(...Array.from(data as Float32Array));
    return { values, ...pipeline.loaded[0]! };
  } finally {
    await pipeline.close();
  }
}

for (const [n, [name, { make, skip, workers = 1 }]] of Object.entries(MODELS).entries()) {
  for (const isolation of ['thread', 'process'] as const) {
    test(`${name}: WebGPU with the CPU gives what the CPU gives (${isolation})`, { skip }, async (t) => {
      const path = await make(join(folder, `${n}-${isolation}`));
      const expected = await run(path, [CPU, CPU], isolation);
      const found = await run(path, [{ ...CARD, workers }, CPU], isolation);
      t.diagnostic(`on ${found.deviceName}`);
      assert.equal(found.ranOn, 'cpu');
      assert.match(found.deviceName, /swiftshader.*software adapter/i);
      assert.equal(found.values.length, expected.values.length);
      assert.ok(new Set(found.values).size > MICRO_BATCH, 'the rows differ');
      const off = found.values.map((value, k) => Math.abs(value - expected.values[k]!));
      assert.ok(Math.max(...off) < TOLERANCE, `${Math.max(...off)} off`);
    });
  }
}

for (const [n, name] of ['tfjs, a LayersModel', 'onnxruntime, an mlp'].entries()) {
  test(`${name}: a software adapter is a fallback, and is named`, {
    skip: MODELS[name]!.skip,
  }, async () => {
    const path = await MODELS[name]!.make(join(folder, `fallback-${n}`));
    await assert.rejects(open(path, [CARD, CPU], 'thread', false), {
      code: 'TANDEM_DEVICE_FALLBACK',
      message: /stage 0 asked for gpu, but webgpu would compute on .*swiftshader/i,
      remedy: /--allow-fallback/,
    });
  });
}
