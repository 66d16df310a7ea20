/** `tandem run` with ONNX models as people have them: half precision, int8, int4, and every element type at the edges. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { MakeOptions } from '../../scripts/make-onnx.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { FLOAT16, fromWord } from '../../src/rows/half-float.js';
import { descrOf } from '../../src/rows/npy/npy-dtype.js';
import { bytesOf, DTYPES, type Tensor } from '../../src/tensor.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { feedsOf, made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { openRunnable } from '../fixtures/runnable.js';
import { assertFails, tandem } from './tandem-process.js';

const folder = temporaryFolder();
after(folder.remove);
const cwd = folder.path;

const ROWS = 6;
/** Three micro-batches, cut in two by hand. */
const CUT = ['--micro-batch', '2', '-s', 'cpu,layers=0..0,threads=1', '-s', 'cpu,threads=1', '-q'];

/** Each input's rows as a file, and the flags that name it. */
function inputFlags(name: string, inputs: readonly { name: string }[], feeds: readonly Tensor[]): string[] {
  return inputs.flatMap((input, n) => {
    const { dtype, shape, data } = feeds[n]!;
    const file = `${name}-${n}.npy`;
    writeFileSync(join(cwd, file), npyBytes({ descr: descrOf(dtype)!, shape, data: bytesOf(data) }));
    return ['-i', inputs.length > 1 ? `${input.name}=${file}` : file];
  });
}

function numbersOf({ dtype, data }: Tensor): number[] {
  return Array.from(data as Float32Array, (value) =>
    dtype === 'float16' ? fromWord(Number(value), FLOAT16) : Number(value),
  );
}

/** How far an answer may lie from the whole model's: half precision rounds what each stage hands on. */
const MODELS: Record<string, { options?: MakeOptions; within: number; outputs: string[] }> = {
  qdq: { within: 0, outputs: ['/blocks.2/DequantizeLinear_output_0'] },
  int4: { within: 0, outputs: ['/layers.2/Tanh_output_0'] },
  transformer: { options: { dtype: 'float16' }, within: 1e-2, outputs: ['last_hidden_state', 'pooler_output'] },
};

suite('tandem run, ONNX', { concurrency: 2 }, () => {
  for (const [name, { options, within, outputs }] of Object.entries(MODELS)) {
    test(`${name}, from rows to answers under the outputs' own names`, async () => {
      const path = made(cwd, name, options);
      const graph = await openRunnable(path);
      const feeds = feedsOf(graph, ROWS, 5);
      const whole = await runWhole(graph, feeds);
      const args = ['run', path, ...inputFlags(name, graph.inputs, feeds), '-o', `${name}.jsonl`, ...CUT];
      const { status, stderr } = await tandem(args, { cwd });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      const lines = readFileSync(join(cwd, `${name}.jsonl`), 'utf8')
        .trimEnd()
        .split('\n');
      const rows = lines.map((line) => JSON.parse(line).outputs as Record<string, unknown>);
      assert.equal(rows.length, ROWS);
      assert.deepEqual(Object.keys(rows[0]!), outputs);
      for (const [n, output] of outputs.entries()) {
        const found = rows.flatMap((row) => [row[output]].flat(4) as number[]);
        const expected = numbersOf(whole[n]!);
        assert.equal(found.length, expected.length);
        // The text of a float32 is the shortest that only it has.
        const furthest = Math.max(...found.map((value, i) => Math.abs(Math.fround(value) - expected[i]!)));
        assert.ok(furthest <= within, `${output} is ${furthest} off`);
      }
    });
  }

  for (const name of ['int4-shared', 'int8-shared', 'int8-one-scale', 'int8-relu', 'int4-weights', 'tied']) {
    test(`${name}: dequantised weights give the same answers however the model is cut`, async () => {
      const path = made(cwd, name);
      const graph = await openRunnable(path);
      const feeds = feedsOf(graph, ROWS, 5);
      const [whole] = await runWhole(graph, feeds);
      const flags = inputFlags(name, graph.inputs, feeds);
      const last = graph.layers.length - 1;
      const ways = [[], ...Array.from({ length: last }, (_, n) => [n]), Array.from({ length: last }, (_, n) => n)];
      for (const [n, cuts] of ways.entries()) {
        const stages = [...cuts, last].flatMap((to, stage) => [
          '-s',
          `cpu,threads=1,layers=${stage === 0 ? 0 : cuts[stage - 1]! + 1}..${to}`,
        ]);
        const output = `${name}-answers-${n}.npy`;
        const { status, stderr } = await tandem(['run', path, ...flags, '-o', output, '-b', '2', '-q', ...stages], {
          cwd,
        });
        assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
        const found = readFileSync(join(cwd, output)).subarray(-whole!.data.byteLength);
        assert.deepEqual(found, Buffer.from(bytesOf(whole!.data)), `cut behind layers ${cuts.join(' and ')}`);
      }
    });
  }

  for (const dtype of DTYPES.filter((each) => descrOf(each) !== null)) {
    test(`${dtype} comes out as it went in`, async () => {
      const g = new Graph(`echo_${dtype}`);
      const twice = (x: string, part: string, as?: string) =>
        g.node('Identity', [g.node('Concat', [x, x], { axis: 1, name: `${part}/Concat` })], {
          name: `${part}/Identity`,
          as,
        });
      const inner = twice(g.input('x', dtype, ['n', 3]), '/part.0');
      g.output(twice(inner, '/part.1', 'y'), dtype, ['n', 12]);
      const path = writeModel(join(cwd, `${dtype}.onnx`), g);
      const graph = await openRunnable(path);
      const [feed] = feedsOf(graph, ROWS);
      const flags = inputFlags(dtype, graph.inputs, [feed!]);
      const args = ['run', path, ...flags, '-o', `${dtype}.npy`, '--micro-batch', '4', '-s', 'cpu', '-s', 'cpu', '-q'];
      const { status, stderr } = await tandem(args, { cwd });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      const [whole] = await runWhole(graph, [feed!]);
      const expected = npyBytes({ descr: descrOf(dtype)!, shape: whole!.shape, data: bytesOf(whole!.data) });
      const found = readFileSync(join(cwd, `${dtype}.npy`));
      assert.deepEqual(found.subarray(-whole!.data.byteLength), expected.subarray(-whole!.data.byteLength));
      assert.ok(found.includes(`'descr': '${descrOf(dtype)}'`), 'the element type is the same');
    });
  }

  for (const [dtype, name] of [
    ['string', 'text'],
    ['bfloat16', 'x'],
  ] as const) {
    test(`${dtype} at the edge is refused, with the input's name`, async () => {
      const g = new Graph(`edge_${dtype}`);
      g.output(g.node('Identity', [g.input(name, dtype, ['n', 3])]), dtype, ['n', 3]);
      const path = writeModel(join(cwd, `edge-${dtype}.onnx`), g);
      writeFileSync(join(cwd, 'none.jsonl'), '[1, 2, 3]\n');
      // A cache without OpenVINO, which computes bfloat16 where it is installed.
      const env = { XDG_CACHE_HOME: cwd };
      const ended = await tandem(['run', path, '-i', 'none.jsonl', '-o', 'none.npy'], { cwd, env });
      assertFails(ended, { status: 2, code: 'TANDEM_MODEL_UNSUPPORTED', says: new RegExp(`"${name}".*${dtype}`) });
    });
  }
});

test('bfloat16 within a model stays within one stage', async () => {
  const g = new Graph('brain_inside');
  const words = g.node('Cast', [g.node('Neg', [g.input('x', 'float32', ['n', 3])])], { to: 16 });
  g.output(g.node('Abs', [g.node('Cast', [words], { to: 1 })], { as: 'y' }), 'float32', ['n', 3]);
  const graph = await openRunnable(writeModel(join(cwd, 'brain-inside.onnx'), g));
  assert.deepEqual([...graph.forbiddenCuts], [graph.ops.findIndex(({ inputs }) => inputs.includes(words))]);
});
