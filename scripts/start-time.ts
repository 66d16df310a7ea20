/** Measures the time from the start of a process to its first micro-batch with the published code, compared with ORT loading the whole model: node dist/scripts/start-time.js MODEL [--rows 8] [--free 128] [--repetitions 5] [--isolation thread] */
import { execFileSync, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { median } from '../src/planner/measure/median.js';
import type { Isolation } from '../src/pool/isolation.js';
import { micros } from '../src/pool/protocol.js';
import { npyHeader } from '../src/rows/npy/npy-header.js';
import { allocate, bytesOf } from '../src/tensor.js';

/** The task of a child process; `layers` is the first layer of the second stage, `end` its last. */
export interface StartAsk {
  readonly path: string;
  readonly rows: number;
  readonly isolation?: Isolation;
  readonly layers?: number;
  readonly end?: number;
  /** Values of `--input`, and the output file. */
  readonly input?: readonly string[];
  readonly output?: string;
}

/** Readings of the monotonic clock in microseconds, by finished step, in order. */
export type Marks = readonly (readonly [string, number])[];

const ORT = fileURLToPath(new URL('./start-time/ort-load.js', import.meta.url));
const BUNDLE = resolve(import.meta.dirname, '../start-time');
const TANDEM = join(BUNDLE, 'scripts/start-time/first-micro-batch.js');
const COMMAND = join(BUNDLE, 'src/cli/tandem.js');

async function main(): Promise<void> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const options = { rows: text('8'), free: text('128'), repetitions: text('5'), isolation: text('thread') };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [path] = positionals;
  if (!path) throw new Error('usage: node dist/scripts/start-time.js MODEL [--rows 8] [--free 128] [--repetitions 5]');
  const bundle = resolve(import.meta.dirname, '../../scripts/bundle.mjs');
  execFileSync(process.execPath, [bundle, BUNDLE, 'scripts/start-time/first-micro-batch.ts']);
  const graph = await openModel(path);
  const ask: StartAsk = { path: graph.path, rows: Number(values.rows) };
  const folder = mkdtempSync(join(tmpdir(), 'tandem-start-'));
  const input = writeZeros(graph, ask.rows, Number(values.free), folder);
  const isolation = values.isolation as Isolation;
  const tandem = { ...ask, isolation, input, layers: Math.ceil(graph.layers.length / 2), end: graph.layers.length - 1 };
  const rounds: Record<'ort' | 'tandem' | 'tandem run', Map<string, number>>[] = [];
  // Interleaved, so that other load affects both equally; the first round only fills the page cache.
  for (let n = 0; n <= Number(values.repetitions); n++) {
    const round = {
      ort: await timesOf(ORT, ask),
      tandem: await timesOf(TANDEM, { ...tandem, output: join(folder, `${n}.npz`) }),
      'tandem run': await firstRow(tandem),
    };
    if (n > 0) rounds.push(round);
  }
  rmSync(folder, { recursive: true });
  const ortMs = median(rounds.map(({ ort }) => [...ort.values()].at(-1)!));
  const rows = (['ort', 'tandem', 'tandem run'] as const).flatMap((side) =>
    [...rounds[0]![side].keys()].map((mark) => {
      const ms = median(rounds.map((round) => round[side].get(mark)!));
      return [side, mark, ms.toFixed(0), (ms / ortMs).toFixed(2)];
    }),
  );
  const columns = [
    { title: 'side' },
    { title: 'until' },
    { title: 'ms', right: true },
    { title: 'x ORT', right: true },
  ];
  process.stdout.write(`${graph.path}: from the process's start, median of ${rounds.length} interleaved rounds\n\n`);
  process.stdout.write(`${formatTable(columns, rows)}\n`);
}

/** One micro-batch of zeros, a file for each input; dimensions that the model leaves open are `free`. */
function writeZeros({ inputs }: ModelGraph, rows: number, free: number, folder: string): string[] {
  return inputs.map(({ name, dtype, shape }, n) => {
    const dims = shape.slice(1).map((dim) => dim ?? free);
    const file = join(folder, `${n}.npy`);
    writeFileSync(file, Buffer.concat([npyHeader(dtype, dims, rows), bytesOf(allocate(dtype, [rows, ...dims]))]));
    return `${name}=${file}`;
  });
}

/** Milliseconds from the process's start to each mark. */
async function timesOf(file: string, ask: StartAsk): Promise<Map<string, number>> {
  const startedAt = micros();
  const child = fork(file, [JSON.stringify(ask)], { stdio: 'inherit' });
  const marks = await new Promise<Marks>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Marks));
    child.once('exit', (code, signal) => reject(new Error(`${file} ended with ${signal ?? code}`)));
  });
  await new Promise((resolve) => child.once('exit', resolve));
  return new Map(marks.map(([mark, at]) => [mark, (at - startedAt) / 1e3]));
}

/** Milliseconds from the start of `tandem run` to the first byte of its results, including the computing of a micro-batch. */
async function firstRow({ path, rows, isolation, layers, end, input }: Required<Omit<StartAsk, 'output'>>) {
  const stages = [`0..${layers - 1}`, `${layers}..${end}`].flatMap((range) => [
    '--stage',
    `cpu,threads=1,layers=${range}`,
  ]);
  const rest = ['--output', '-', '--isolation', isolation, '--micro-batch', String(rows), '--quiet'];
  const args = [COMMAND, 'run', path, ...input.flatMap((file) => ['--input', file]), ...stages, ...rest];
  const startedAt = micros();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let firstAt = Number.NaN;
  for await (const _ of child.stdout) if (Number.isNaN(firstAt)) firstAt = micros();
  await exited;
  return new Map([['first row', (firstAt - startedAt) / 1e3]]);
}

await main();
