/** Signatures of TensorFlow.js blocks (those of ONNX: onnx-blocks.test.ts): names do not count, everything that computes does. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { blockSignatures } from '../../src/model/block-signature.js';
import { openModel } from '../../src/model/open.js';
import { temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

interface LayerEntry {
  readonly class_name: string;
  config: Record<string, unknown>;
}

test('layers that differ only in name and training are alike; in activation they are not', async () => {
  const path = join(folder.path, 'dense');
  await makeModel('dense-12', path, { width: 8 });
  const file = join(path, 'model.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { modelTopology: unknown };
  const layers = layersIn(manifest.modelTopology);
  const before = blockSignatures(await openModel(path));
  const alike = before.flatMap((signature, n) => (signature === before[1] ? [n] : []));
  assert.ok(alike.length >= 8, `${alike.length} alike`);

  const [first, second, third] = alike.map((n) => n);
  const dense = layers.filter(({ class_name: type }) => type !== 'InputLayer');
  Object.assign(dense[first!]!.config, { trainable: false, kernel_initializer: { class_name: 'Zeros', config: {} } });
  Object.assign(dense[second!]!.config, { activation: 'sigmoid' });
  writeFileSync(file, JSON.stringify(manifest));
  const after = blockSignatures(await openModel(path));
  assert.equal(after[first!], after[third!]);
  assert.notEqual(after[second!], after[third!]);
});

test('nodes of a GraphModel are alike by attributes and wiring; shared weights are not two weights', async () => {
  const path = join(folder.path, 'graph');
  await makeModel('mlp-graph', path, { blocks: 4 });
  const graph = await openModel(path);
  const starts = graph.ops.filter(({ type }) => type === 'MatMul').map(({ index }) => index);
  const length = starts[2]! - starts[1]!;
  const blocks = [starts[1]!, starts[2]!].map((from) => ({ from, to: from + length }));
  const [one, two] = blockSignatures(graph, blocks);
  assert.equal(one, two);
  const [weight] = graph.ops[starts[1]!]!.weights;
  const ops = graph.ops.map((op) => (op.index === starts[2] ? { ...op, weights: [weight!] } : op));
  const both = { from: starts[1]!, to: starts[2]! + length };
  assert.notEqual(blockSignatures({ ...graph, ops }, [both])[0], blockSignatures(graph, [both])[0]);
});

/** The entries of a topology, wherever its writer put them. */
function layersIn(topology: unknown): LayerEntry[] {
  const outer = topology as { model_config?: { config: unknown }; config?: unknown };
  const config = (outer.model_config?.config ?? outer.config) as { layers: LayerEntry[] } | LayerEntry[];
  return Array.isArray(config) ? config : config.layers;
}
