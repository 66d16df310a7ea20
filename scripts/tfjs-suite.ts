/** Runs published TensorFlow.js models whole and cut, and compares: node dist/scripts/tfjs-suite.js FOLDER [--free 192: open dimensions except the last, which are channels] [--cuts 12: at most, per model] */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { tfjs } from '../src/engine/tfjs/tfjs.js';
import { asTandemError } from '../src/errors.js';
import { legalCuts } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { readModel } from '../src/model/open.js';
import { slicesOf } from '../src/model/slice.js';
import { seeded, seededValues } from '../src/prove/models/seeded.js';
import type { Tensor } from '../src/tensor.js';
import { compare } from './onnx-suite/compare.js';
import { spread } from './onnx-suite.js';

const CPU = { provider: 'tensorflow', threads: 1 } as const;
const CHANNELS = 3;
/** Runs with different rows; the last two replay a recorded tape if the engine has one. */
const RUNS = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { free: { type: 'string', default: '192' }, cuts: { type: 'string', default: '12' } },
});

/** The result of a model, as a line of the table. */
async function judge(path: string): Promise<string[]> {
  let graph: ModelGraph;
  let runs: Map<string, Tensor>[];
  const whole: Tensor[] = [];
  try {
    graph = await readModel(path);
    runs = Array.from({ length: RUNS }, (_, seed) => feedsOf(graph, Number(values.free), seed));
    // Each run loads its own slice: the first run of a slice is computed by tfjs itself.
    for (const feeds of runs) whole.push(...(await compute(graph, [], [feeds])));
  } catch (error) {
    const { code, message } = asTandemError(error);
    return ['', '', '', '', '', `${code}: ${message}`];
  }
  const legal = legalCuts(graph);
  const count = { same: 0, close: 0, different: 0 };
  const cuts = spread(legal, Number(values.cuts));
  for (const cut of cuts) {
    const outputs = await compute(graph, [cut], runs);
    const likenesses = outputs.map((output, n) => compare(output, whole[n]!));
    count[likenesses.find((each) => each === 'different') ?? likenesses.find((each) => each === 'close') ?? 'same']++;
  }
  if (count.different > 0) process.exitCode = 1;
  return [...[graph.layers.length, legal.length, cuts.length, count.same, count.different].map(String), ''];
}

/** Seeded rows; one row if the model leaves their number open. */
function feedsOf({ inputs }: ModelGraph, free: number, seed: number): Map<string, Tensor> {
  return new Map(
    inputs.map(({ name, dtype, shape }) => {
      const full = shape.map((dim, axis) => dim ?? (axis === 0 ? 1 : axis === shape.length - 1 ? CHANNELS : free));
      return [name, { dtype, shape: full, data: seededValues(dtype, full, 1, seeded(seed + 1)) }];
    }),
  );
}

/** The model's outputs in each run, slice by slice; each slice is loaded once. */
async function compute(
  graph: ModelGraph,
  cuts: number[],
  runs: readonly ReadonlyMap<string, Tensor>[],
): Promise<Tensor[]> {
  const held = runs.map((feeds) => new Map(feeds));
  for (const slice of slicesOf(graph, cuts)) {
    const loaded = await tfjs.load(slice, CPU);
    try {
      for (const values of held) {
        const outputs = await loaded.run(slice.inputs.map((input) => values.get(input)!));
        // The outputs of an engine are valid until its next run.
        for (const [n, output] of slice.outputs.entries()) values.set(output, copyOf(outputs[n]!));
      }
    } finally {
      await loaded.dispose();
    }
  }
  return held.flatMap((values) => graph.outputs.map((output) => values.get(output)!));
}

function copyOf(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() };
}

function modelsIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  return files.filter((name) => readFileSync(join(folder, name), 'utf8').includes('"modelTopology"')).sort();
}

const [folder] = positionals;
if (!folder) throw new Error('usage: node dist/scripts/tfjs-suite.js FOLDER [--free 192] [--cuts 12]');
const rows: string[][] = [];
for (const name of modelsIn(folder)) rows.push([name, ...(await judge(join(folder, name)))]);
const titles = ['layers', 'legal cuts', 'tried', 'same to the bit', 'differ'];
const columns = [{ title: 'model' }, ...titles.map((title) => ({ title, right: true })), { title: 'not run' }];
process.stdout.write(`${formatTable(columns, rows)}\n`);
