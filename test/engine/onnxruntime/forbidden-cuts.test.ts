/** ONNX Runtime's forbidden cuts besides the format's: inside ops that it fuses, and across bfloat16. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { forbiddenCuts } from '../../../src/engine/onnxruntime/forbidden-cuts.js';
import { readRunnable } from '../../../src/engine/runnable.js';
import { isLegalCut, legalCuts } from '../../../src/model/cut.js';
import type { ModelGraph } from '../../../src/model/graph.js';
import { readModel } from '../../../src/model/open.js';
import { Graph } from '../../../src/prove/models/graph.js';
import { writeModel } from '../../../src/prove/models/model-file.js';
import { made, temporaryFolder } from '../../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

function partedBy({ ops }: ModelGraph, cuts: readonly number[]): string[] {
  return [...new Set(cuts.map((k) => [ops[k - 1]!.type, ops[k]!.type].join(' | ')))];
}

test('quantised groups are not cut, though their format would let them be', async () => {
  const path = made(folder.path, 'qdq');
  const [read, runnable] = [await readModel(path), await readRunnable(path)];
  assert.deepEqual(partedBy(runnable, legalCuts(runnable)), ['QuantizeLinear | DequantizeLinear']);
  assert.ok(partedBy(read, legalCuts(read)).includes('DequantizeLinear | Conv'), 'the reader knows the format alone');
  assert.deepEqual(runnable.engines?.[0], 'onnxruntime');
});

test('layers are found anew, so that none begins where the engine forbids it', async () => {
  for (const name of ['qdq', 'qdq-transpose', 'int4']) {
    const graph = await readRunnable(made(folder.path, name));
    assert.ok(graph.layers.length > 1, name);
    for (const { from } of graph.layers.slice(1)) assert.ok(isLegalCut(graph, from), `${name}: op ${from}`);
  }
});

test('a model without such groups is cut wherever its format lets it be', async () => {
  const graph = await readModel(made(folder.path, 'transformer'));
  assert.deepEqual([...forbiddenCuts(graph)], []);
  const { layers, forbiddenCuts: cuts } = await readRunnable(graph.path);
  assert.deepEqual({ layers, cuts }, { layers: graph.layers, cuts: graph.forbiddenCuts });
});

test('bfloat16 may not lie between stages, and a model that takes or returns it is refused', async () => {
  const inside = new Graph('inside');
  const words = inside.node('Cast', [inside.node('Neg', [inside.input('x', 'float32', ['n', 3])])], { to: 16 });
  inside.output(inside.node('Abs', [inside.node('Cast', [words], { to: 1 })], { as: 'y' }), 'float32', ['n', 3]);
  const read = await readModel(writeModel(join(folder.path, 'inside.onnx'), inside));
  assert.deepEqual([...read.forbiddenCuts], []);
  assert.deepEqual([...forbiddenCuts(read)], [read.ops.findIndex(({ inputs }) => inputs.includes(words))]);

  const edge = new Graph('edge');
  edge.output(edge.node('Cast', [edge.input('x', 'bfloat16', ['n'])], { to: 1, as: 'y' }), 'float32', ['n']);
  const path = writeModel(join(folder.path, 'edge.onnx'), edge);
  assert.equal((await readModel(path)).inputs[0]!.dtype, 'bfloat16');
  const refusal = { code: 'TANDEM_MODEL_UNSUPPORTED', message: /takes "x".*bfloat16/ };
  await assert.rejects(readRunnable(path, { engine: 'onnxruntime' }), refusal);
});
