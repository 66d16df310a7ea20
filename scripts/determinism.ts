/** Tests whether the bits of a result depend on threads, micro-batch, cut and isolation: `node dist/scripts/determinism.js [--rows N]` prints a table. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { openModel } from '../src/model/open.js';
import { Random } from '../src/prove/models/random.js';
import type { TensorSpec } from '../src/tensor.js';
import { makeModel } from './make-model.js';
import { makeOnnx } from './make-onnx.js';

const { values: flags } = parseArgs({ options: { rows: { type: 'string', default: '67' } } });

const TANDEM = resolve(import.meta.dirname, '../src/cli/tandem.js');
const ROWS = Number(flags.rows);

/** Wide enough for the engines to use several threads. */
const MODELS: readonly [engine: string, model: string, make: (folder: string) => Promise<string> | string][] = [
  ['tfjs', 'mlp', (folder) => makeModel('mlp', folder, { width: 512, blocks: 3, length: 256 })],
  ['tfjs', 'residual-cnn', (folder) => makeModel('residual-cnn', folder, { width: 32, blocks: 2, length: 32 })],
  ['tfjs', 'transformer', (folder) => makeModel('transformer', folder, { width: 128, blocks: 2, length: 64 })],
  ['tfjs', 'transformer-graph', (folder) => makeModel('transformer-graph', folder, { width: 128, length: 64 })],
  ['onnxruntime', 'mlp', (folder) => makeOnnx('mlp', folder, { layers: 4, hidden: 512 })],
  ['onnxruntime', 'cnn', (folder) => makeOnnx('cnn', folder)],
  ['onnxruntime', 'transformer', (folder) => makeOnnx('transformer', folder, { hidden: 128, ffn: 512 })],
];

interface Setting {
  readonly stages: number;
  readonly threads: number;
  readonly microBatch: number;
  readonly isolation: string;
}

const BASE: Setting = { stages: 1, threads: 1, microBatch: 16, isolation: 'process' };

/** The variations; each changes one setting. */
const CHANGES: readonly [title: string, change: Partial<Setting>][] = [
  ['again', {}],
  ['2 threads', { threads: 2 }],
  ['micro-batch 1', { microBatch: 1 }],
  ['micro-batch 5', { microBatch: 5 }],
  ['micro-batch 64', { microBatch: 64 }],
  ['threads of one process', { isolation: 'thread' }],
  ['2 stages', { stages: 2 }],
];

const folder = mkdtempSync(join(tmpdir(), 'tandem-determinism-'));
try {
  const rows = [];
  for (const [engine, name, make] of MODELS) rows.push([engine, name, ...(await compare(engine, name, make))]);
  const base = `${ROWS} rows, one stage of one thread, micro-batches of ${BASE.microBatch}, a separate process`;
  process.stdout.write(`largest difference in float32 steps (ulp) from: ${base}\n\n`);
  const titles = ['engine', 'model', ...CHANGES.map(([title]) => title)];
  process.stdout.write(
    `${formatTable(
      titles.map((title) => ({ title })),
      rows,
    )}\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

async function compare(engine: string, name: string, make: (folder: string) => Promise<string> | string) {
  const home = join(folder, `${engine}-${name}`);
  mkdirSync(home);
  const model = await make(join(home, 'model'));
  const { inputs } = await openModel(model);
  const input = join(home, 'rows.jsonl');
  writeFileSync(input, rowsFor(inputs));
  const run = (change: Partial<Setting>) => outputsOf(model, input, join(home, 'out.jsonl'), { ...BASE, ...change });
  const expected = run({});
  return CHANGES.map(([, change]) => {
    const steps = largestStep(expected, run(change));
    return steps === 0 ? 'same bits' : `${steps} ulp`;
  });
}

/** Numbers in [-1, 1) for floats, word numbers for integers; a mask is ones. */
function rowsFor(inputs: readonly TensorSpec[]): string {
  const random = new Random(1);
  const valuesOf = ({ name, dtype, shape }: TensorSpec) => {
    const value = () => (/mask/.test(name) ? 1 : dtype.includes('int') ? random.below(2) : random.uniform(-1, 1));
    const list = ([dim, ...rest]: (number | null)[]): unknown =>
      dim === undefined ? value() : Array.from({ length: dim ?? 24 }, () => list(rest));
    return list(shape.slice(1));
  };
  const row = () => JSON.stringify({ inputs: Object.fromEntries(inputs.map((spec) => [spec.name, valuesOf(spec)])) });
  return `${Array.from({ length: ROWS }, row).join('\n')}\n`;
}

function outputsOf(model: string, input: string, output: string, setting: Setting): Float32Array {
  const stages = Array.from({ length: setting.stages }, () => ['--stage', `cpu,threads=${setting.threads}`]).flat();
  const args = ['run', model, '-i', input, '-o', output, '-b', String(setting.microBatch), ...stages];
  const ended = spawnSync(process.execPath, [TANDEM, ...args, '--isolation', setting.isolation, '--force', '-q'], {
    encoding: 'utf8',
  });
  if (ended.status !== 0) throw new Error(`${args.join(' ')}\n${ended.stderr}`);
  const numbers: number[] = [];
  const collect = (value: unknown): void => {
    if (typeof value === 'number') numbers.push(value);
    else if (typeof value === 'object') for (const inner of Object.values(value!)) collect(inner);
  };
  for (const line of readFileSync(output, 'utf8').trimEnd().split('\n')) collect(JSON.parse(line).outputs);
  return Float32Array.from(numbers);
}

/** The largest distance of corresponding numbers, in representable numbers. */
function largestStep(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers, then ${b.length}`);
  const [x, y] = [a, b].map((values) => new Int32Array(values.buffer)) as [Int32Array, Int32Array];
  // Negative numbers are mapped below -0, so that adjacent numbers always differ by one.
  const place = (bits: number) => (bits < 0 ? -(bits & 0x7fff_ffff) : bits);
  return x.reduce((most, bits, n) => Math.max(most, Math.abs(place(bits) - place(y[n]!))), 0);
}
