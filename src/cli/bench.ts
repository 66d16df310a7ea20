/** `tandem bench`: how fast a model can be run on this machine, and how. */

import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { bench } from '../bench/bench.js';
import { type Comparison, compare } from '../bench/compare.js';
import { type Layout, layoutsFor } from '../bench/layouts.js';
import type { BenchResult } from '../bench/result.js';
import { bankRows, RowBank } from '../bench/row-bank.js';
import { EXIT, TandemError } from '../errors.js';
import { findRows } from '../job/open-rows.js';
import { orDecoder, refuseDecoder } from '../job/refuse-decoder.js';
import { checkPlace, checkReportFiles, writeReportFiles } from '../job/report-files.js';
import { knownCards } from '../machine/cards/cards.js';
import { readCores } from '../machine/machine.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { outputError } from '../output/error.js';
import { firstRows } from '../pipeline/micro-batch.js';
import { parseBytes } from '../plan/bytes.js';
import { parseCount } from '../plan/count.js';
import type { StageOptions } from '../plan/stage-options.js';
import { deadlineMsOf } from '../pool/deadline.js';
import { FORMATS } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { type GivenRows, openGiven } from '../rows/given-values.js';
import { filesOf, inputsOf } from '../rows/input-files.js';
import { goodRows, type RowsRead, type Source } from '../rows/source.js';
import { type TensorSpec, zeroRows } from '../tensor.js';
import { benchRecord } from './bench-record.js';
import { FROM_TEXT } from './config.js';
import { formatBench, formatComparison } from './print-bench.js';
import { ProgressBar } from './progress.js';
import { columnOption, imageOption, rowsAxisOption, setOption } from './run-flags.js';

interface BenchFlags extends GivenRows {
  readonly image?: string;
  readonly column?: string;
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly stage?: readonly StageOptions[];
  readonly microBatch?: readonly number[];
  readonly depth?: readonly number[];
  readonly budget?: readonly number[];
  readonly isolation?: 'auto' | 'thread' | 'process';
  readonly seconds: number;
  readonly length: number;
  readonly deadline?: number;
  readonly allowFallback?: boolean;
  readonly output?: string;
  readonly report?: string;
  readonly compare?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const AFTER_HELP = `
Compares the whole model on one device and on all of its cores, the same model split with one stage at a time, and the split
with all stages at once; each at its best micro-batch and depth, in interleaved rounds. It ends with the recommended plan, as
flags for tandem run, and with what would make it faster. --budget takes time of its own: the planner measures the model once
and tries a plan for each size.

Exit status: 0, or 1 where --compare finds a case that has become slower by more than the noise.

For example:
  tandem bench model.onnx
  tandem bench model.json --stage gpu,memory=6GiB --stage cpu,threads=4 --seconds 300
  tandem bench model.onnx --output before.json; …; tandem bench model.onnx --compare before.json`;

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure how fast a model can be run on this machine, and recommend a plan')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option(
      '-i, --input <file>',
      "rows to run (default: random rows of the model's shapes)",
      (text, before: readonly string[] = []) => [...before, text],
    )
    .addOption(setOption())
    .addOption(rowsAxisOption())
    .addOption(imageOption())
    .addOption(columnOption())
    .option('--input-format <format>', `${FORMATS.join(', ')}, if the file's name does not show it`)
    .option(
      '-s, --stage <device,key=value…>',
      'split the model into these stages, in order, and no others',
      (text, before: readonly StageOptions[] = []) => [...before, ...FROM_TEXT.stages(text, '--stage')],
    )
    .option('-b, --micro-batch <rows,…>', 'sizes to try (default: chosen)', (text) => counts(text, '--micro-batch'))
    .option('--depth <n,…>', 'depths to try (default: chosen)', (text) => counts(text, '--depth'))
    .option('--budget <size,…>', 'memory budgets of the first stage of the fastest split: plan and try each', (text) =>
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
    .option('--deadline <seconds>', 'longest that a micro-batch may take in a stage (default: 600)', (text) =>
      parseCount(text, '--deadline'),
    )
    .option('--allow-fallback', 'let a gpu stage run on another device')
    .option('-o, --output <file.json>', 'write all that was measured')
    .option('--report <file.html>', 'write a page that shows it')
    .option('--compare <file.json>', 'report what has become slower since that file was written')
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
  const graph = await openGiven(path, { ...flags, allowNonFinite: true });
  if (!flags.input) refuseDecoder(graph, flags.set);
  const bar = new ProgressBar(process.stderr, { quiet: flags.quiet });
  const onProgress = process.stderr.isTTY
    ? (what: string) => bar.note(what)
    : (what: string) => flags.quiet || bar.line(`${what}\n`);
  try {
    const bank = await orDecoder(graph, flags.set, rowsFor(graph, flags));
    const layouts = layoutsOf(graph, flags.stage);
    const { seconds, microBatch: microBatches, depth: depths, budget: budgets, isolation } = flags;
    const deadlineMs = deadlineMsOf(flags.deadline);
    const result = await bench({
      graph,
      bank,
      layouts,
      seconds,
      microBatches,
      depths,
      budgets,
      isolation,
      deadlineMs,
      allowFallback: flags.allowFallback ?? false,
      isOpen: !flags.stage && !microBatches && !depths && graph.fixedBatch === null,
      onProgress,
    });
    bar.clear();
    const comparison = before && compare(before, result);
    print(result, comparison, flags);
    if (flags.output) writeResult(flags.output, result);
    await writeReportFiles(files, benchRecord(result, process.argv.slice(2)));
    return comparison?.slower ? EXIT.unexpected : EXIT.ok;
  } finally {
    bar.clear();
  }
}

function print(result: BenchResult, comparison: Comparison | null, { compare: path, json }: BenchFlags): void {
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

/** The whole model, and the stages that were asked for or else every way of splitting on this machine. */
function layoutsOf({ layers }: ModelGraph, stages: readonly StageOptions[] | undefined): Layout[] {
  const cores = readCores();
  const cards = knownCards().length;
  const all = layoutsFor({ cores, cards, layers: layers.length });
  if (!stages) return all;
  const whole = all.filter(({ kind, stages: [stage] }) => kind === 'whole' && (stage!.workers ?? 1) === 1);
  return [...whole, { name: 'split, as asked', kind: stages.length > 1 ? 'split' : 'whole', stages }];
}

async function rowsFor(graph: ModelGraph, { input, inputFormat, image, column, length }: BenchFlags): Promise<RowBank> {
  if (!input) {
    const specs = fedInputs(graph).map((spec) => ({ ...spec, shape: spec.shape.slice(1).map((dim) => dim ?? length) }));
    return RowBank.random(specs);
  }
  await refuseSound(input, inputFormat);
  const found = await findRows(graph, { input, inputFormat, image, column });
  const source = (await found.open(0, false)) as Source;
  try {
    const specs: readonly TensorSpec[] = source.rowSpecs;
    const tensors = zeroRows(specs, bankRows(specs));
    const read = await source.read(tensors);
    if (goodRows(read) === 0) throw noGoodRow(read);
    return new RowBank(
      specs,
      tensors.map((tensor) => firstRows(tensor, goodRows(read))),
    );
  } finally {
    await source.close();
  }
}

/** Rows are measured one by one, and windows of sound follow one another. Throws TANDEM_USAGE. */
async function refuseSound(input: readonly string[], inputFormat: string | undefined): Promise<void> {
  const [first] = filesOf(await inputsOf([], input, inputFormat));
  if (formatOf(first!, inputFormat) !== 'wav') return;
  throw new TandemError(
    'TANDEM_USAGE',
    `${first} is WAV, whose windows follow one another, and bench repeats single rows`,
    {
      remedy: 'leave --input out: random samples are computed as fast',
    },
  );
}

function noGoodRow({ failures: [first] }: RowsRead): TandemError {
  return new TandemError(
    'TANDEM_INPUT_INVALID',
    `no row can be used${first ? `; row ${first.index}: ${first.message}` : ''}`,
    {
      remedy: 'correct the rows, or leave --input out for random ones',
    },
  );
}

/** `8,32` as numbers. */
function counts(text: string, flag: string): number[] {
  return text.split(',').map((part) => parseCount(part, flag));
}
