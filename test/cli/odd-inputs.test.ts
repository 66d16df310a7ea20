/** Inputs of odd names and sizes: they run, or are refused by name. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-odd-inputs-'));
const at = (name: string) => join(cwd, name);
const QUICK = ['-q', '--stage', 'cpu', '--isolation', 'thread'];

before(() => {
  const equals = new Graph('equals');
  const [left, right] = ['a=b', 'a'].map((name) => equals.input(name, 'float32', ['n', 2]));
  equals.output(equals.node('Sub', [left!, right!]), 'float32', ['n', 2]);
  writeModel(at('equals.onnx'), equals);
  const none = new Graph('none');
  none.output(none.node('Relu', [none.input('x', 'float32', [0, 2])]), 'float32', [0, 2]);
  writeModel(at('none.onnx'), none);
  writeFileSync(at('ten.npy'), npyBytes({ descr: '<f4', shape: [2, 2], data: floatBytes(10, 20, 30, 40) }));
  writeFileSync(at('one.npy'), npyBytes({ descr: '<f4', shape: [2, 2], data: floatBytes(1, 2, 3, 4) }));
});
after(() => rmSync(cwd, { recursive: true }));

/** As scikit-learn's converter writes a classifier: a label, and a map of its probabilities for each row. */
function classifier(labels: readonly string[] | null): string {
  const g = new Graph('classifier');
  const scores = g.node('MatMul', [g.input('X', 'float32', ['n', 2]), g.weight('w', [2, 3])]);
  const probabilities = g.node('Softmax', [scores], { as: 'probabilities', axis: -1 });
  const best = g.node('ArgMax', [scores], { as: labels ? 'best' : 'output_label', axis: 1, keepdims: 0 });
  if (labels)
    g.node('Gather', [g.constant('words', { dtype: 'string', shape: [3], data: labels }), best], {
      as: 'output_label',
    });
  g.node('ZipMap', [probabilities], { as: 'output_probability', domain: 'ai.onnx.ml', classlabels_int64s: [0, 1, 2] });
  g.output('output_label', labels ? 'string' : 'int64', ['n']);
  g.output('output_probability');
  return writeModel(at(`classifier-${labels ? 'texts' : 'numbers'}.onnx`), g);
}

/** The numbers of the output's rows. */
async function outputs(name: string, ...args: string[]): Promise<number[][]> {
  const { status, stderr } = await tandem(['run', 'equals.onnx', ...args, '-o', `${name}.jsonl`, ...QUICK], { cwd });
  assert.equal(status, 0, stderr);
  const lines = readFileSync(at(`${name}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => Object.values<number[]>(JSON.parse(line).outputs)[0]!);
}

test('an input whose name holds = is fed by name, as is one whose name is its beginning', async () => {
  assert.deepEqual(await outputs('files', '-i', 'a=b=ten.npy', '-i', 'a=one.npy'), [
    [9, 18],
    [27, 36],
  ]);
  assert.deepEqual(await outputs('swapped', '-i', 'a=b=one.npy', '-i', 'a=ten.npy'), [
    [-9, -18],
    [-27, -36],
  ]);
});

test('a model that is declared for 0 rows is refused', async () => {
  const ended = await tandem(['run', 'none.onnx', '-i', 'ten.npy', '-o', 'none.jsonl', ...QUICK], { cwd });
  const says = /input "x" is declared with 0 rows \(\[0, 2\]\).*\n.*update_inputs_outputs_dims/;
  assertFails(ended, { status: 2, code: 'TANDEM_MODEL_UNSUPPORTED', says });
});

test('a classifier that returns maps is refused with the command that keeps its tensors', async () => {
  for (const [labels, lost, kept, then] of [
    [
      null,
      '"output_probability", which holds a map for each row \\(ZipMap\\)',
      '\\["output_label","probabilities"\\]',
      'or convert it again with options=\\{"zipmap": False\\}',
    ],
    [
      ['a', 'b', 'c'],
      '"output_label", which holds string',
      '\\["probabilities"\\]',
      'labels that are texts are left out',
    ],
  ] as const) {
    const path = classifier(labels);
    const ended = await tandem(['run', path, '-i', 'ten.npy', '-o', 'maps.jsonl', ...QUICK], { cwd });
    const command = `python -c 'import onnx; .*select_model_inputs_outputs\\(onnx\\.load\\("${path}"\\), ${kept}\\), "tensors\\.onnx"\\)'`;
    const says = new RegExp(`returns ${lost} and cannot be pipelined.*\\n.*${command}; ${then}`);
    assertFails(ended, { status: 2, code: 'TANDEM_MODEL_UNSUPPORTED', says });
  }
});
