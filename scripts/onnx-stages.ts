/** Measures the stages of an ONNX model: memory compared with the weights, loading compared with ORT: node dist/scripts/onnx-stages.js MODEL [--stages 2] [--rows 8] [--free 128] */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { onnxruntime } from '../src/engine/onnxruntime/onnxruntime.js';
import { weightBytes } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { allocate, type DType } from '../src/tensor.js';
import type { Ask, StageFigures } from './onnx-stages/measure.js';

/** Dtype and shape of each tensor for the chosen rows. */
export type Facts = Record<string, { readonly dtype: DType; readonly shape: readonly number[] }>;

const CHILD = fileURLToPath(new URL('./onnx-stages/measure.js', import.meta.url));
const REPEATS = 3;

async function main(): Promise<void> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const options = { stages: text('2'), rows: text('8'), free: text('128') };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [folder] = positionals;
  if (!folder) throw new Error('usage: node dist/scripts/onnx-stages.js MODEL [--stages 2] [--rows 8] [--free 128]');
  const graph = await openModel(folder);
  const { path } = graph;
  const facts = await factsOf(path, Number(values.rows), Number(values.free));
  const cuts = evenCuts(path, graph, Number(values.stages));
  const bounds = [0, ...cuts, graph.ops.length];
  const loads: number[] = [];
  const rounds: StageFigures[][] = [];
  // Interleaved, so that other load affects both equally.
  for (let n = 0; n < REPEATS; n++) {
    loads.push((await ask({ what: 'load', path })) as number);
    const stages: StageFigures[] = [];
    for (const [j, to] of bounds.slice(1).entries()) {
      stages.push((await ask({ what: 'stage', path, from: bounds[j]!, to, facts })) as StageFigures);
    }
    rounds.push(stages);
  }
  const lines = bounds.slice(1).map((to, j) =>
    rowOf(
      j,
      bounds[j]!,
      to,
      rounds.map((round) => round[j]!),
    ),
  );
  process.stdout.write(
    `${[HEAD, ...lines].map((cells) => cells.map((cell) => cell.padStart(12)).join('')).join('\n')}\n`,
  );
  const wholeMs = Math.min(...loads);
  const each = rounds.map((round) => round.map(({ loadMs }) => loadMs));
  const after = Math.min(...each.map((ms) => ms.reduce((sum, one) => sum + one, 0)));
  const parallel = Math.min(...each.map((ms) => Math.max(...ms)));
  const ratio = (ms: number) => `${ms.toFixed(0)} ms, ${(ms / wholeMs).toFixed(2)} of it`;
  process.stdout.write(`ORT loads the whole model in ${wholeMs.toFixed(0)} ms; the stages, read and load, `);
  process.stdout.write(`sequentially in ${ratio(after)}, in parallel in ${ratio(parallel)}\n`);
  const whole = (await ask({ what: 'whole', path, facts })) as number;
  process.stdout.write(`peak memory: ORT with the whole model ${mebibytes(whole)} MiB`);
  for (const isolation of ['thread', 'process'] as const) {
    const held = (await ask({ what: 'pipeline', path, facts, cuts, isolation })) as number[];
    const sum = held.reduce((total, bytes) => total + bytes, 0);
    const parts = held.length > 1 ? ` (${held.map(mebibytes).join(' + ')})` : '';
    process.stdout.write(`; stages as ${isolation} ${mebibytes(sum)}${parts}, ${(sum / whole).toFixed(2)} of it`);
  }
  process.stdout.write('\n');
}

const HEAD = ['stage', 'ops', 'weights', 'base', 'loaded', 'running', 'peak', 'activations', 'ratio'];

/** Mebibytes; `activations` is the growth during a run, `ratio` the peak divided by weights, activations and base. */
function rowOf(j: number, from: number, to: number, rounds: readonly StageFigures[]): string[] {
  const { base, weights, loaded, running, peak } = rounds[0]!;
  const activations = running - loaded;
  const sizes = [weights, base, loaded, running, peak, activations].map(mebibytes);
  return [String(j), String(to - from), ...sizes, (peak / (weights + activations + base)).toFixed(3)];
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** Cuts at block boundaries that divide the weights evenly. */
function evenCuts(path: string, graph: Awaited<ReturnType<typeof openModel>>, stages: number): number[] {
  const all = weightBytes(graph, 0, graph.ops.length);
  const starts = graph.layers.slice(1).map(({ from }) => from);
  const cuts = Array.from({ length: stages - 1 }, (_, n) => {
    const distance = (k: number) => Math.abs(weightBytes(graph, 0, k) - (all * (n + 1)) / stages);
    return starts.reduce((best, k) => (distance(k) < distance(best) ? k : best), starts[0]!);
  });
  if (new Set(cuts).size < cuts.length) throw new Error(`${path} has too few blocks for ${stages} stages`);
  return cuts;
}

async function factsOf(path: string, rows: number, free: number): Promise<Facts> {
  const graph = await openModel(path);
  const feeds = graph.inputs.map(({ dtype, shape: dims }) => {
    const shape = dims.map((dim, axis) => dim ?? (axis === 0 ? 1 : free));
    return { dtype, shape, data: allocate(dtype, shape) };
  });
  const found = await onnxruntime.describe(graph, { provider: 'cpu', threads: 1 }, feeds);
  return Object.fromEntries(
    [...found].map(([name, { dtype, shape }]) => [name, { dtype, shape: shape.map((dim) => dim ?? rows) }]),
  );
}

function ask(message: Ask): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, { stdio: 'inherit' });
    child.once('message', resolve);
    child.once('exit', (code, signal) => reject(new Error(`a measurement ended with ${signal ?? code}`)));
    child.send(message);
  });
}

await main();
