/** Inputs that ONNX Runtime needs in its own order: which they are, that its optimiser then keeps sums in convolutions, and that results stay. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { blockedInputs } from '../../../src/engine/onnxruntime/blocked-inputs.js';
import { openSession } from '../../../src/engine/onnxruntime/session.js';
import { sliceModel } from '../../../src/engine/onnxruntime/slice-model.js';
import { inferTypes } from '../../../src/engine/onnxruntime/value-types.js';
import { legalCuts } from '../../../src/model/cut.js';
import { type OnnxModel, readOnnx } from '../../../src/model/onnx.js';
import { slicesOf } from '../../../src/model/slice.js';
import { CPU, feedsOf, likeness, made, runCut, runWhole, temporaryFolder } from '../../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

/** A convolution, and three blocks of Conv, Relu, Conv, Add of the block's input, Relu: the ops 1 to 15. */
function net(channels: number): OnnxModel {
  return readOnnx(made(folder.path, 'cnn', { hidden: channels }));
}

/** What comes after a cut. */
async function rest(model: OnnxModel, cut: number) {
  const slice = slicesOf(model.graph, [cut])[1]!;
  const types = await inferTypes(model, slice.from, slice.inputs);
  return { slice, types, wanted: blockedInputs(model, slice, types) };
}

/** The ops that ORT's own optimiser makes of what comes after a cut. */
async function optimised(model: OnnxModel, cut: number, { pooled }: { pooled: boolean }): Promise<string[]> {
  const { slice, types, wanted } = await rest(model, cut);
  const path = join(folder.path, 'optimised.onnx');
  const session = await openSession({
    bytes: sliceModel(model, { ...slice, types, pooled: pooled ? wanted : new Set() }),
    folder: model.graph.folder,
    engine: CPU,
    options: { optimizedModelFilePath: path },
  });
  await session.release();
  return readOnnx(path).nodes.map(({ type }) => type);
}

test('wanted is what is added to a convolution, directly or by way of a Relu, and not what a convolution alone reads', async () => {
  const model = net(16);
  const wanted = async (cut: number) => [...(await rest(model, cut)).wanted].sort();
  const [stem, first] = [model.nodes[0]!.outputs[0]!, model.nodes[5]!.outputs[0]!];
  assert.deepEqual(await wanted(1), [stem]);
  assert.deepEqual(await wanted(3), [stem], 'beside the value inside the block');
  assert.deepEqual(await wanted(4), [model.nodes[3]!.outputs[0]!, stem].sort(), 'through an Add of two inputs');
  assert.deepEqual(await wanted(5), [model.nodes[4]!.outputs[0]!], 'through a Relu');
  assert.deepEqual(await wanted(6), [first]);
  assert.deepEqual(await wanted(14), [], 'no convolution comes after it');
  assert.deepEqual(await wanted(16), []);
});

test('channels that make no whole blocks are left as they are', async () => {
  const model = net(8);
  for (const cut of legalCuts(model.graph)) assert.equal((await rest(model, cut)).wanted.size, 0);
});

test('no Add is left beside a convolution, wherever the model is cut', {
  skip: process.arch === 'x64' ? false : 'ONNX Runtime has this order on x64',
}, async () => {
  const model = net(16);
  const adds = (ops: readonly string[]) => ops.filter((type) => type === 'Add').length;
  // Without the pool none of the three is part of a convolution. Where ORT mends that itself, the pool can go.
  assert.equal(adds(await optimised(model, 1, { pooled: false })), 3);
  for (const cut of legalCuts(model.graph).filter((each) => each < 14)) {
    const ops = await optimised(model, cut, { pooled: true });
    assert.equal(adds(ops), model.nodes[cut]!.type === 'Add' ? 1 : 0, `cut at ${cut}: ${ops.join(' ')}`);
  }
});

test('any cut gives what the whole model gives', async () => {
  const { graph } = net(16);
  const feeds = feedsOf(graph, 3);
  const whole = await runWhole(graph, feeds);
  for (const cut of legalCuts(graph)) {
    assert.notEqual(likeness(await runCut(graph, [cut], feeds), whole), 'different', `cut at ${cut}`);
  }
});
