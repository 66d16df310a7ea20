/** `tandem bench`: how fast a model can be run on this machine, and how. */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { bench } from '../bench/bench.js';
import { type Comparison, compare } from '../bench/compare.js';
import { type Layout, layoutsFor } from '../bench/layouts.js';
import type { BenchResult } from '../bench/result.js';
import { bankRows, RowBank } from '../bench/row-bank.js';
import { EXIT } from '../errors.js';
import { openSource } from '../job/open-source.js';
import { outputError } from '../job/output-error.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { firstRows } from '../pipeline/micro-batch.js';
import { readMachine } from '../plan/machine.js';
import { readNvidiaDriver } from '../plan/nvidia.js';
import type { StageOptions } from '../plan/plan.js';
import { type TensorSpec, zeroRows } from '../tensor.js';
import { benchRecord } from './bench-record.js';
import { parseBytes } from './bytes.js';
import { FROM_TEXT } from './config.js';
import { inputsOf } from './input-flag.js';
import { formatBench, formatComparison } from './print-bench.js';
import { ProgressBar } from './progress.js';
import { checkPlace, checkReportFiles, writeReportFiles } from './report-files.js';
import { parseCount } from './stage-flag.js';

interface BenchFlags {
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly stage?: readonly StageOptions[];
  readonly microBatch?: readonly number[];
  readonly depth?: readonly number[];
  readonly budget?: readonly number[];
  readonly isolation?: 'auto' | 'thread' | 'process';
  readonly seconds: number;
  readonly length: number;
  readonly deadline: number;
  readonly allowFallback?: boolean;
  readonly output?: string;
  readonly report?: string;
  readonly compare?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const AFTER_HELP = `
Compares the whole model on one device and on all of its cores, the same model split with one stage at a time, and the split
with all stages at once; each at the micro-batch and depth that suit it, all in turn. It ends with the plan to use, as
flags for tandem run, and with what would make it faster. --budget takes time of its own: the planner measures the model once
and tries a plan for each size.

Exit status: 0, or 1 where --compare finds a case that has become slower by more than the noise.

For example:
  tandem bench model.onnx
  tandem bench model.json --stage gpu,memory=6GiB --stage cpu,threads=4 --seconds 300
  tandem bench model.onnx --output before.json; …; tandem bench model.onnx --compare before.json`;

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure how fast a model can be run on this machine, and tell which plan to use')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option(
      '-i, --input <file>',
      'rows to run; without it random rows of the shapes that the model takes',
      (text, before: readonly string[] = []) => [...before, text],
    )
    .option('--input-format <format>', 'jsonl, npy or npz, where the name does not tell')
    .option(
      '-s, --stage <device,key=value…>',
      'split the model into these stages, in order, and no others',
      (text, before: readonly StageOptions[] = []) => [...before, ...FROM_TEXT.stages(text, '--stage')],
    )
    .option('-b, --micro-batch <rows,…>', 'sizes to try (default: what suits)', (text) => counts(text, '--micro-batch'))
    .option('--depth <n,…>', 'depths to try (default: what suits)', (text) => counts(text, '--depth'))
    .option('--budget <size,…>', 'what the first stage of the fastest split may hold: plan and try each', (text) =>
      text.split(',').map(parseBytes),
    )
    .option('--isolation <where>', 'where stages live: auto, thread, process', (text) =>
      FROM_TEXT.isolation(text, '--isolation'),
    )
    .option('--seconds <n>', 'about how long it may take', (text) => parseCount(text, '--seconds'), 60)
    .option(
      '--length <n>',
      'size of dimensions that the model leaves open, such as the length of a text',
      (text) => parseCount(text, '--length'),
      128,
    )
    .option(
      '--deadline <seconds>',
      'longest that a micro-batch may take in a stage',
      (text) => parseCount(text, '--deadline'),
      600,
    )
    .option('--allow-fallback', 'let a gpu stage run on what is there instead')
    .option('-o, --output <file.json>', 'write all that was measured')
    .option('--report <file.html>', 'write a page that shows it')
    .option('--compare <file.json>', 'tell what has become slower since that was written')
    .option('-q, --quiet', 'no progress on stderr')
    .option('--json', 'print all that was measured as one JSON object instead of the tables')
    .addHelpText('after', AFTER_HELP)
    .action(async (model: string, flags: BenchFlags) => {
      process.exitCode = await runBench(model, flags);
    });
}

async function runBench(path: string, flags: BenchFlags): Promise<number> {
  const before = flags.compare === undefined ? null : (await import('../bench/result.js')).readResult(flags.compare);
  const files = { report: flags.report };
  if (flags.output) await checkPlace(flags.output);
  await checkReportFiles(files, { force: true, taken: flags.output ? [flags.output] : [] });
  const graph = await openModel(path);
  const bar = new ProgressBar(process.stderr, { quiet: flags.quiet });
  const onProgress = process.stderr.isTTY
    ? (what: string) => bar.note(what)
    : (what: string) => flags.quiet || bar.line(`${what}\n`);
  try {
    const bank = await rowsFor(graph, flags);
    const layouts = layoutsOf(graph, flags.stage);
    const { seconds, microBatch: microBatches, depth: depths, budget: budgets, isolation } = flags;
    const deadline = flags.deadline * 1e3;
    const result = await bench({
      graph,
      bank,
      layouts,
      seconds,
      microBatches,
      depths,
      budgets,
      isolation,
      deadline,
      allowFallback: flags.allowFallback ?? false,
      onProgress,
    });
    bar.clear();
    const comparison = before && compare(before, result);
    tell(result, comparison, flags);
    if (flags.output) writeResult(flags.output, result);
    await writeReportFiles(files, benchRecord(result, process.argv.slice(2)));
    return comparison?.slower ? EXIT.unexpected : EXIT.ok;
  } finally {
    bar.clear();
  }
}

function tell(result: BenchResult, comparison: Comparison | null, { compare: path, json }: BenchFlags): void {
  if (json) process.stdout.write(`${JSON.stringify(comparison ? { ...result, comparison } : result)}\n`);
  else {
    process.stdout.write(formatBench(result));
    if (comparison) process.stdout.write(`\n${formatComparison(comparison, path!)}`);
  }
}

/** Throws TANDEM_OUTPUT_FAILED. */
function writeResult(path: string, result: BenchResult): void {
  try {
    writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  } catch (error) {
    throw outputError(path, error);
  }
}

/** The whole model beside the stages that somebody asks for, or beside all ways of splitting that the machine has. */
function layoutsOf({ layers }: ModelGraph, stages: readonly StageOptions[] | undefined): Layout[] {
  const { cores } = readMachine();
  const cards = readNvidiaDriver()?.cards.length ?? 0;
  const all = layoutsFor({ cores, cards, layers: layers.length });
  if (!stages) return all;
  const whole = all.filter(({ kind, stages: [stage] }) => kind === 'whole' && (stage!.workers ?? 1) === 1);
  return [...whole, { name: 'split, as asked', kind: stages.length > 1 ? 'split' : 'whole', stages }];
}

async function rowsFor(graph: ModelGraph, { input, inputFormat, length }: BenchFlags): Promise<RowBank> {
  if (!input) {
    const specs = graph.inputs.map((spec) => ({ ...spec, shape: spec.shape.slice(1).map((dim) => dim ?? length) }));
    return RowBank.random(specs);
  }
  const source = await openSource(inputsOf(graph.inputs, input), graph.inputs, { format: inputFormat });
  try {
    const specs: readonly TensorSpec[] = source.rowSpecs;
    const tensors = zeroRows(specs, bankRows(specs));
    const { rows } = await source.read(tensors);
    return new RowBank(
      specs,
      tensors.map((tensor) => firstRows(tensor, rows)),
    );
  } finally {
    await source.close();
  }
}

/** `8,32` as numbers. */
function counts(text: string, flag: string): number[] {
  return text.split(',').map((part) => parseCount(part, flag));
}
