/** A damaged model ends in a coded error or in a run: never in a crash, a hang, or a read outside its folder. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fuzz } from '../../scripts/onnx-fuzz.js';
import { openModel } from '../../src/model/open.js';
import { Graph } from '../../src/prove/models/graph.js';
import { type LocalFunction, writeModel } from '../../src/prove/models/model-file.js';
import { temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);
const INVALID = { code: 'TANDEM_MODEL_INVALID' };

test('200 seeded mutations, each opened, cut and run in a process of its own', async () => {
  const { results, wrong } = await fuzz({ count: 200 });
  assert.deepEqual(wrong, []);
  assert.ok(results.get('ran')! > 20 && results.get('TANDEM_MODEL_INVALID')! > 50, JSON.stringify([...results]));
});

/** A function that calls `callees`, one after the other. */
function calling(name: string, callees: readonly string[]): LocalFunction {
  const body = new Graph(name);
  const last = callees.reduce((x, callee) => body.node(callee, [x], { domain: 'own' }), 'a');
  return { domain: 'own', name, inputs: ['a'], outputs: [last], body };
}

function written(name: string, functions: readonly LocalFunction[], inputs = ['x']): string {
  const g = new Graph(name);
  g.input('x', 'float32', ['n']);
  g.output(g.node('First', inputs, { domain: 'own' }), 'float32', ['n']);
  return writeModel(join(folder.path, `${name}.onnx`), g, { functions });
}

test('functions that call themselves, unfold without measure, or are called with too much are refused', async () => {
  const ring = written('ring', [calling('First', ['Second']), calling('Second', ['First'])]);
  await assert.rejects(openModel(ring), { ...INVALID, message: /calls itself/ });
  const names = ['First', ...Array.from({ length: 40 }, (_, n) => `F${n}`)];
  const bomb = names.map((name, n) => calling(name, n < 40 ? [names[n + 1]!, names[n + 1]!] : ['Neg']));
  await assert.rejects(openModel(written('bomb', bomb)), { ...INVALID, message: /unfold/ });
  await assert.rejects(openModel(written('much', [calling('First', ['Neg'])], ['x', 'x'])), {
    ...INVALID,
    message: /more values than it has/,
  });
});

test('a chain of 40,000 nodes is read, whether of values or of weights alone', async () => {
  const g = new Graph('chain');
  let x = g.input('x', 'float32', ['n']);
  let w = g.weight('w', [1]);
  for (let n = 0; n < 20_000; n++) {
    x = g.node('Neg', [x]);
    w = g.node('Neg', [w]);
  }
  g.output(g.node('Add', [x, w]), 'float32', ['n']);
  const { ops } = await openModel(writeModel(join(folder.path, 'chain.onnx'), g));
  assert.equal(ops.length, 20_001);
  assert.deepEqual(ops.at(-1)!.weights, ['w']);
});

test('bodies within bodies without end are refused', async () => {
  let body = new Graph('leaf');
  body.output(body.node('Neg', ['x']));
  for (let n = 0; n < 40; n++) {
    const outer = new Graph(`body${n}`);
    outer.output(outer.node('If', ['flag'], { then_branch: body }));
    body = outer;
  }
  const g = new Graph('deep');
  g.input('x', 'float32', ['n']);
  g.input('flag', 'bool', []);
  g.output(g.node('If', ['flag'], { then_branch: body }));
  await assert.rejects(openModel(writeModel(join(folder.path, 'deep.onnx'), g)), { ...INVALID, message: /deep/ });
});
