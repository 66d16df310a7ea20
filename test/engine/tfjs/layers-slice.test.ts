/** Slices of LayersModels: weights found under every name that tfjs knows them by, and failures told by the layer. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Layers } from '../../../scripts/make-model/layers.js';
import type { MadeModel } from '../../../scripts/make-model/model-files.js';
import { type MakeOptions, makeModel } from '../../../scripts/make-model.js';
import { tfjs } from '../../../src/engine/tfjs/tfjs.js';
import { TandemError } from '../../../src/errors.js';
import { legalCuts } from '../../../src/model/cut.js';
import { openModel } from '../../../src/model/open.js';
import { sliceOf } from '../../../src/model/slice.js';
import { bytesOf, type Tensor } from '../../../src/tensor.js';
import {
  CPU,
  feedsOf,
  opened,
  runCut,
  runWhole,
  temporaryFolder,
  tensorflow,
  written,
} from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

interface Manifest {
  modelTopology: { model_config: { class_name: string; config: Record<string, unknown> } };
  weightsManifest: { weights: { name: string; shape: number[] }[] }[];
}

/** A made model whose model.json is changed before it is opened. */
async function changed(name: string, change: (manifest: Manifest) => unknown, options: MakeOptions = {}) {
  const file = await makeModel(name, mkdtempSync(join(folder.path, `${name}-`)), options);
  const manifest: Manifest = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify(change(manifest) ?? manifest));
  return openModel(file);
}

const hex = (tensors: readonly Tensor[]) => tensors.map(({ data }) => Buffer.from(bytesOf(data)).toString('hex'));

async function assertCutEqualsWhole(graph: Awaited<ReturnType<typeof openModel>>): Promise<void> {
  const feeds = feedsOf(graph, 2);
  assert.deepEqual(hex(await runCut(graph, legalCuts(graph), feeds)), hex(await runWhole(tf!, graph, feeds)));
}

const weightsOf = ({ weightsManifest }: Manifest) => weightsManifest[0]!.weights;

test('names that carry the cell, as TF 2.2 and later write them', { skip }, async () => {
  const graph = await changed('nested', (manifest) => {
    for (const weight of weightsOf(manifest)) weight.name = weight.name.replace(/(lstm)\/(\w+)$/, '$1/lstm_cell/$2');
  });
  assert.ok([...graph.weights.keys()].some((name) => name.includes('/lstm_cell/')));
  await assertCutEqualsWhole(graph);
});

test('names that are numbers, as Keras saves them', { skip }, async () => {
  const graph = await changed('residual-cnn', (manifest) => {
    const next = new Map<string, number>();
    for (const weight of weightsOf(manifest)) {
      const layer = weight.name.split('/')[0]!;
      const index = next.get(layer) ?? 0;
      next.set(layer, index + 1);
      weight.name = `${layer}/${index}`;
    }
  });
  await assertCutEqualsWhole(graph);
});

test('a topology in camelCase and without model_config', { skip }, async () => {
  const camel = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(camel);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, held]) => [
        key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()),
        camel(held),
      ]),
    );
  };
  const graph = await changed('residual-cnn', (manifest) => ({
    ...manifest,
    modelTopology: camel(manifest.modelTopology.model_config),
  }));
  await assertCutEqualsWhole(graph);
});

test('a model that tfjs has saved itself', { skip }, async () => {
  const made = await opened(folder.path, 'nested');
  const model = await tf!.loadLayersModel(`file://${made.path}`);
  const path = mkdtempSync(join(folder.path, 'saved-'));
  await model.save(`file://${path}/model`);
  await assertCutEqualsWhole(await openModel(`${path}/model`));
});

test('a nested model at the head of a Sequential', { skip }, async () => {
  const inner = new Layers();
  const x = inner.input('x', [3]);
  const block = inner.functional('block', [inner.add('sum', inner.dense('inside', x, 3, 'tanh'), x)]);
  const end = new Layers();
  end.dense('end', end.input('unused', [3]), 2);
  const tail = end.sequential('tail');
  const configOf = ({ modelTopology }: MadeModel) => (modelTopology as Manifest['modelTopology']).model_config;
  const layers = [configOf(block), (configOf(tail).config.layers as object[])[1]];
  const graph = await written(folder.path, {
    format: 'layers-model',
    modelTopology: { model_config: { class_name: 'Sequential', config: { name: 'head', layers } } },
    weights: [...block.weights, ...tail.weights],
  });
  assert.deepEqual(
    graph.ops.map(({ name }) => name),
    ['block', 'end'],
  );
  await assertCutEqualsWhole(graph);
});

test('a state that is the output itself, each read by its own layer: tfjs alone fails on this one', {
  skip,
}, async () => {
  const model = new Layers();
  const last = model.lstm('lstm', model.input('steps', [2, 3]), 4, { returnState: true });
  const first = model.dense('first', { ...last, tensor: 1 }, 2);
  const graph = await written(folder.path, model.functional('states', [first, model.dense('second', last, 2)]));
  const feeds = feedsOf(graph, 2);
  assert.deepEqual(hex(await runCut(graph, [], feeds)), hex(await runCut(graph, legalCuts(graph), feeds)));
});

test('a missing weight is named with the layer that needs it, and so is one of another shape', { skip }, async () => {
  const missing = await changed('mlp', (manifest) => {
    weightsOf(manifest).find(({ name }) => name === 'hidden_1/bias')!.name = 'hidden_1/other';
  });
  const code = (found: string, message: RegExp) => (error: unknown) =>
    error instanceof TandemError && error.code === found && message.test(error.message);
  await assert.rejects(
    tfjs.load(sliceOf(missing, 1, 2), CPU),
    code('TANDEM_WEIGHTS_MISSING', /hidden_1 needs the weight hidden_1\/bias/),
  );
  await (await tfjs.load(sliceOf(missing, 0, 1), CPU)).dispose();
  const reshaped = await changed('mlp', (manifest) => {
    weightsOf(manifest)[0]!.shape.reverse();
  });
  const before = tf!.memory().numTensors;
  await assert.rejects(
    tfjs.load(sliceOf(reshaped, 0, 1), CPU),
    code('TANDEM_MODEL_INVALID', /\[32,16\], but layer hidden_0 needs \[16,32\]/),
  );
  assert.equal(tf!.memory().numTensors, before);
});

test('a layer that tfjs does not know is refused with a way out', { skip }, async () => {
  const graph = await changed('mlp', ({ modelTopology }) => {
    (modelTopology.model_config.config.layers as { class_name: string }[])[1]!.class_name = 'Sparkle';
  });
  await assert.rejects(
    tfjs.load(sliceOf(graph, 0, 1), CPU),
    (error) =>
      error instanceof TandemError &&
      error.code === 'TANDEM_MODEL_UNSUPPORTED' &&
      /Sparkle/.test(error.message) &&
      error.remedy !== '',
  );
});

test('a layer that fails is named, and its tensors are disposed', { skip }, async () => {
  const graph = await opened(folder.path, 'mlp');
  const loaded = await tfjs.load(sliceOf(graph, 1, 3), CPU);
  const before = tf!.memory().numTensors;
  const wrong: Tensor = { dtype: 'float32', shape: [2, 5], data: new Float32Array(10) };
  await assert.rejects(
    Promise.resolve(loaded.run([wrong])),
    (error) =>
      error instanceof TandemError &&
      error.code === 'TANDEM_ENGINE_FAILED' &&
      /layer hidden_1 \(Dense\) failed/.test(error.message) &&
      error.cause instanceof Error,
  );
  assert.equal(tf!.memory().numTensors, before);
  await loaded.dispose();
});
