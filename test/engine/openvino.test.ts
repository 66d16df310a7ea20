/** OpenVINO cut at every legal cut against OpenVINO whole and against ONNX Runtime; what it cannot run is refused by name. */
import assert from 'node:assert/strict';
import { renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { MakeOptions } from '../../scripts/make-onnx.js';
import { openvino } from '../../src/engine/openvino/openvino.js';
import type { TandemError } from '../../src/errors.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { slicesOf } from '../../src/model/slice.js';
import type { Tensor } from '../../src/tensor.js';
import { feedsOf, made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { openvinoHere } from '../fixtures/openvino-here.js';
import { openRunnable } from '../fixtures/runnable.js';

const folder = temporaryFolder();
after(folder.remove);

const OPTIONS = { provider: 'openvino', threads: 1 };

async function runCut(graph: ModelGraph, cuts: readonly number[], feeds: readonly Tensor[]): Promise<Tensor[]> {
  const held = new Map(graph.inputs.map(({ name }, n) => [name, feeds[n]!]));
  for (const slice of slicesOf(graph, cuts)) {
    const loaded = await openvino.load(slice, OPTIONS);
    const outputs = await loaded.run(slice.inputs.map((name) => held.get(name)!));
    for (const [n, name] of slice.outputs.entries()) held.set(name, outputs[n]!);
    await loaded.dispose();
  }
  return graph.outputs.map((name) => held.get(name)!);
}

/** The largest difference of two lists of tensors that have the same types and shapes. */
function distance(found: readonly Tensor[], expected: readonly Tensor[]): number {
  const each = found.map(({ dtype, shape, data }, n) => {
    const other = expected[n]!;
    assert.deepEqual([dtype, shape], [other.dtype, [...other.shape]]);
    return Array.from(data as Float32Array, Number).reduce(
      (far, value, i) => Math.max(far, Math.abs(value - Number(other.data[i]))),
      0,
    );
  });
  assert.ok(each.every((far) => !Number.isNaN(far)));
  return Math.max(0, ...each);
}

/** By model: how far ONNX Runtime may be; where it rounds weights or activations otherwise, that is not compared. */
const MODELS: Record<string, { readonly options?: MakeOptions; readonly fromOrt: number | null }> = {
  mlp: { fromOrt: 1e-5 },
  cnn: { fromOrt: 1e-5 },
  transformer: { options: { external: true }, fromOrt: 1e-5 },
  'two-in-two-out': { fromOrt: 1e-5 },
  cached: { fromOrt: 1e-5 },
  'control-flow': { fromOrt: 1e-5 },
  'clip-text': { fromOrt: 1e-5 },
  dynamic: { fromOrt: 1e-4 },
  qdq: { fromOrt: null },
  int4: { fromOrt: 1e-5 },
  'int8-weights': { fromOrt: null },
  lstm: { fromOrt: 1e-5 },
};

suite('openvino', openvinoHere, () => {
  for (const [name, { options = {}, fromOrt }] of Object.entries(MODELS)) {
    test(`${name}: at every legal cut as whole, and as ONNX Runtime`, async () => {
      const graph = await openRunnable(made(folder.path, name, options));
      const feeds = feedsOf(graph, 3, 5);
      const whole = await runCut(graph, [], feeds);
      if (fromOrt !== null) assert.ok(distance(whole, await runWhole(graph, feeds)) <= fromOrt);
      const legal = legalCuts(graph);
      assert.ok(legal.length > 0);
      for (const k of legal) {
        const far = distance(await runCut(graph, [k], feeds), whole);
        assert.ok(far <= 5e-6, `cut at ${k}: ${far}`);
      }
    });
  }

  test('a slice takes micro-batches of any size, one after the other, also with no rows', async () => {
    const graph = await openRunnable(made(folder.path, 'transformer'));
    const loaded = await openvino.load(slicesOf(graph, [])[0]!, OPTIONS);
    for (const [rows, length] of [
      [4, 5],
      [1, 9],
      [0, 5],
      [7, 2],
      [4, 5],
    ] as const) {
      const feeds = feedsOf(graph, rows, length);
      const found = await loaded.run(feeds);
      if (rows === 0) assert.deepEqual(found[0]!.shape.slice(0, 2), [0, length]);
      else assert.ok(distance(found, await runWhole(graph, feeds)) <= 1e-5, `${rows} x ${length}`);
    }
    await loaded.dispose();
  });

  test('a size that is expected is computed as any other, and what was expected before does not matter', async () => {
    const graph = await openRunnable(made(folder.path, 'transformer'));
    const [slice] = slicesOf(graph, []);
    const [once, often] = [await openvino.load(slice!, OPTIONS), await openvino.load(slice!, OPTIONS)];
    const [large, small] = [feedsOf(graph, 4, 9), feedsOf(graph, 2, 3)];
    for (const loaded of [once, often]) loaded.expect!(large);
    for (const inputs of [small, feedsOf(graph, 0, 3), large]) {
      often.expect!(inputs);
      await often.run(inputs);
    }
    for (const inputs of [large, small, large]) {
      const found = await often.run(inputs);
      assert.deepEqual(found, await once.run(inputs), 'the same bytes');
      assert.ok(distance(found, await runWhole(graph, inputs)) <= 1e-5);
    }
    await once.dispose();
    await often.dispose();
  });

  test('results are the caller’s: a later run does not change them', async () => {
    const graph = await openRunnable(made(folder.path, 'mlp'));
    const loaded = await openvino.load(slicesOf(graph, [])[0]!, OPTIONS);
    const [first] = await loaded.run(feedsOf(graph, 3, 5, 1));
    const before = Array.from(first!.data, Number);
    await loaded.run(feedsOf(graph, 3, 5, 2));
    assert.deepEqual(Array.from(first!.data, Number), before);
    await loaded.dispose();
  });

  test('a model that is a link to a file elsewhere finds its weights', async () => {
    const path = made(folder.path, 'transformer', { layers: 2 });
    const blob = join(folder.path, 'blob');
    renameSync(path, blob);
    symlinkSync(blob, path);
    const graph = await openRunnable(path);
    const feeds = feedsOf(graph, 2, 5);
    assert.ok(distance(await runCut(graph, [legalCuts(graph)[3]!], feeds), await runWhole(graph, feeds)) <= 1e-5);
  });

  test('what it cannot run is refused with a code and what to type instead', async () => {
    const refusal = async (name: string) => {
      const graph = await openRunnable(made(folder.path, name));
      return openvino.load(slicesOf(graph, [])[0]!, OPTIONS).then(
        () => assert.fail(`${name} is loaded`),
        ({ code, remedy }: TandemError) => ({ code, remedy }),
      );
    };
    const unsupported = { code: 'TANDEM_MODEL_UNSUPPORTED', remedy: "use provider=cpu, which is ONNX Runtime's" };
    assert.deepEqual(await refusal('functions'), unsupported);
    assert.deepEqual(await refusal('odd-weights'), unsupported);
    const graph = await openRunnable(made(folder.path, 'mlp'));
    await assert.rejects(openvino.load(slicesOf(graph, [])[0]!, { provider: 'cuda', threads: 1 }), {
      code: 'TANDEM_USAGE',
    });
    await assert.rejects(openvino.load(slicesOf(graph, [])[0]!, { provider: 'openvino-gpu', threads: 1 }), {
      code: 'TANDEM_DEVICE_MISSING',
    });
  });
});
