/**
 * The figures of a machine with an NVIDIA card: node dist/scripts/gpu-figures.js [--rows 512] [--json FILE] [--allow-fallback]
 * BERT-base (ONNX) and the ResNet-50 shape (TensorFlow.js) on the CPU alone, on the card alone, and on both, with room on the card for
 * 100, 75, 50 and 25 % of the weights; each split pipelined and one micro-batch at a time. Exit status 78, with the reason, where no card is.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { ENGINES } from '../src/engine/registry.js';
import { EXIT } from '../src/errors.js';
import { npyHeader } from '../src/job/formats/npy-header.js';
import type { Summary } from '../src/job/summary.js';
import { type ModelGraph, weightBytes } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { type NvidiaDriver, readNvidiaDriver } from '../src/plan/nvidia.js';
import { processorName } from '../src/processor.js';
import { probeEngine } from '../src/setup/probe.js';
import { bytesOf } from '../src/tensor.js';
import { makeModel } from './make-model.js';
import { seeded, seededValues } from './make-onnx/seeded.js';
import { makeOnnx } from './make-onnx.js';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '512' },
    'micro-batch': { type: 'string', default: '8' },
    json: { type: 'string' },
    'allow-fallback': { type: 'boolean', default: false },
  },
});

const TANDEM = resolve(import.meta.dirname, '../src/cli/tandem.js');
const SHARES = [1, 0.75, 0.5, 0.25];
/** Length of a text, where a model leaves it open. */
const TOKENS = 128;

interface Subject {
  readonly name: string;
  /** The provider that computes on the card, and what it is tried with. */
  readonly engine: 'onnxruntime' | 'tfjs';
  readonly make: (folder: string) => string | Promise<string>;
  readonly providers: readonly string[];
}

const SUBJECTS: readonly Subject[] = [
  {
    name: 'BERT-base',
    engine: 'onnxruntime',
    make: (folder) => makeOnnx('bert', folder),
    providers: ['cuda', 'webgpu'],
  },
  {
    name: 'ResNet-50',
    engine: 'tfjs',
    make: (folder) => makeModel('resnet-50', folder),
    providers: ['tensorflow-gpu', 'webgpu'],
  },
];

interface Figure {
  readonly subject: string;
  readonly name: string;
  readonly summary: Summary | null;
  /** Why there is no summary. */
  readonly reason: string;
}

const driver = readNvidiaDriver();
if (driver === null && !flags['allow-fallback']) {
  process.stderr.write(
    'no NVIDIA driver answers here: nothing is measured\nto see the commands run on what there is: --allow-fallback\n',
  );
  process.exit(EXIT.impossible);
}
const folder = mkdtempSync(join(tmpdir(), 'tandem-gpu-'));
try {
  const figures: Figure[] = [];
  for (const subject of SUBJECTS) figures.push(...(await measure(subject)));
  print(figures, driver);
  if (flags.json)
    writeFileSync(flags.json, `${JSON.stringify({ driver, processor: processorName(), figures }, null, 2)}\n`);
  if (figures.some(({ summary }) => summary === null)) process.exitCode = EXIT.impossible;
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(subject: Subject): Promise<Figure[]> {
  const provider = await providerOnCard(subject);
  if (provider === null) {
    const reason = `none of ${subject.providers.join(', ')} computes on a card: see tandem doctor`;
    return [{ subject: subject.name, name: 'all', summary: null, reason }];
  }
  const model = await subject.make(join(folder, subject.name));
  const graph = await openModel(model);
  const inputs = inputFlags(graph, subject.name);
  const weights = weightBytes(graph, 0, graph.ops.length);
  const card = `gpu,provider=${provider}`;
  const run = (name: string, ...stages: string[]) => runOnce(subject.name, name, [model, ...inputs, ...stages]);
  const figures = [run('CPU only', '--stage', 'cpu'), run('card only, 1 worker', '--stage', `${card},workers=1`)];
  // Twice the weights on the card, so that it computes for one worker while the other one copies.
  if (!ENGINES[subject.engine].onePerProcess.includes(provider)) {
    figures.push(run('card only, 2 workers', '--stage', `${card},workers=2`));
  }
  for (const share of SHARES) {
    // What the card may hold beside the weights is the planner's to subtract.
    const split = ['--stage', `${card},memory=${Math.ceil((share * weights) / 2 ** 20)}MiB`, '--stage', 'cpu'];
    figures.push(run(`card with ${100 * share} % + CPU`, ...split));
    figures.push(run(`the same, one at a time`, ...split, '--depth', '1'));
  }
  return figures;
}

/** The first provider that computes on a card; with --allow-fallback the first that computes. */
async function providerOnCard({ engine, providers }: Subject): Promise<string | null> {
  for (const provider of providers) {
    const probe = await probeEngine(engine, provider);
    if (probe.works && (probe.device === 'GPU' || flags['allow-fallback'])) return provider;
  }
  return null;
}

/** A file of rows for each input. */
function inputFlags(graph: ModelGraph, name: string): string[] {
  const rows = Number(flags.rows);
  return graph.inputs.flatMap(({ name: input, dtype, shape }, n) => {
    const row = shape.slice(1).map((dim) => dim ?? TOKENS);
    const values = seededValues(dtype, [rows, ...row], 1, seeded(n));
    const file = join(folder, `${name}-${n}.npy`);
    writeFileSync(file, Buffer.concat([npyHeader(dtype, row, rows), bytesOf(values)]));
    return ['--input', graph.inputs.length === 1 ? file : `${input}=${file}`];
  });
}

function runOnce(subject: string, name: string, args: readonly string[]): Figure {
  const output = [
    '--output',
    join(folder, 'out.npz'),
    '--force',
    '--json',
    '--quiet',
    '--micro-batch',
    flags['micro-batch'],
  ];
  const fallback = flags['allow-fallback'] ? ['--allow-fallback'] : [];
  const { status, stdout, stderr } = spawnSync(process.execPath, [TANDEM, 'run', ...args, ...output, ...fallback], {
    encoding: 'utf8',
  });
  process.stderr.write(`${subject}, ${name}: ${status === 0 ? 'done' : `status ${status}`}\n`);
  if (status !== 0) return { subject, name, summary: null, reason: stderr.trim().split('\n').slice(-2).join(' ') };
  return { subject, name, summary: JSON.parse(stdout) as Summary, reason: '' };
}

function print(figures: readonly Figure[], driver: NvidiaDriver | null): void {
  const titles = ['model', 'case', 'rows/s', 'predicted', 'bubble', 'layers on the card', 'ran on'];
  const share = (value: number) => `${Math.round(value * 100)} %`;
  const rows = figures.map(({ subject, name, summary, reason }) => {
    if (summary === null) return [subject, name, '', '', '', '', reason];
    const { rowsPerSecond, predicted, bubble, stages } = summary;
    const [first] = stages;
    const onCard = first!.device === 'cpu' ? 0 : first!.layers.to - first!.layers.from + 1;
    const ranOn = stages.map((stage) => stage.deviceName).join(' + ');
    return [
      subject,
      name,
      rowsPerSecond.toFixed(1),
      predicted.rowsPerSecond.toFixed(1),
      share(bubble.measured),
      `${onCard} of ${first!.layers.of}`,
      ranOn,
    ];
  });
  const columns = titles.map((title, c) => ({ title, right: c >= 2 && c <= 4 }));
  const card = driver?.cards.map(({ name }) => name).join(', ') ?? 'no card';
  const machine = `${processorName()} x ${cpus().length}; ${card}, driver ${driver?.version ?? 'none'}`;
  process.stdout.write(
    `${machine}\n${flags.rows} rows in micro-batches of ${flags['micro-batch']}\n\n${formatTable(columns, rows)}\n`,
  );
}
