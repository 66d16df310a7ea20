/** Shared zeros: what a model is built with before its weights are read takes no memory of its own. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { buildTopology } from '../../../src/engine/tfjs/layers-slice.js';
import { readLayersModel } from '../../../src/model/layers-model.js';
import { readModelJson } from '../../../src/model/open.js';
import { temporaryFolder, tensorflow } from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

test('all variables of a topology are zeros in the same memory', { skip }, async () => {
  const file = await makeModel('transformer', folder.path);
  const { topology } = await readLayersModel(file, await readModelJson(file));
  const model = await buildTopology(tf!, topology);
  const values = model.weights.map((weight) => weight.read().dataSync());
  model.dispose();
  assert.ok(values.length > 10);
  assert.ok(values.every((each) => each.every((value) => value === 0)));
  const buffers = new Set(values.map(({ buffer }) => buffer));
  // A larger one is begun where a larger variable comes.
  assert.ok(buffers.size < values.length / 2, `${buffers.size} buffers for ${values.length} variables`);
});
