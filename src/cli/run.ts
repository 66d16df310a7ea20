/** `tandem run`: a batch file through the model. */
import { Command, Option } from 'commander';
import { EXIT, TandemError } from '../errors.js';
import { errorsPath } from '../job/errors-file.js';
import { STANDARD_STREAM } from '../job/format.js';
import { runJob } from '../job/job.js';
import { openSink } from '../job/open-sink.js';
import { openSource } from '../job/open-source.js';
import { isBrokenPipe } from '../job/output-error.js';
import type { Sink } from '../job/sink.js';
import type { Source } from '../job/source.js';
import { summarise } from '../job/summary.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { makePlan } from '../plan/make-plan.js';
import type { StageOptions } from '../plan/plan.js';
import { ISOLATIONS } from '../pool/isolation.js';
import { formatPlan, formatSummary } from './print-run.js';
import { ProgressBar } from './progress.js';
import { type Signals, stopOnSignals } from './signals.js';
import { parseCount, parseStageFlag } from './stage-flag.js';

export interface RunFlags {
  readonly input: readonly string[];
  readonly output: string;
  readonly stage: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  readonly isolation: (typeof ISOLATIONS)[number];
  readonly deadline: number;
  readonly inputFormat?: string;
  readonly outputFormat?: string;
  readonly force: boolean;
  readonly allowFallback: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] = []) => [...before, parse(text)];

export function runCommand(): Command {
  return new Command('run')
    .description('run a model over a file of rows, its layers spread over the devices so that all compute at once')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .addOption(
      new Option('-i, --input <file>', 'rows: .jsonl, .npy, .npz, - for stdin; name=file for one of several inputs')
        .argParser(collect(String))
        .makeOptionMandatory(),
    )
    .requiredOption('-o, --output <file>', 'results: .jsonl, .npy, .npz, - for stdout')
    .addOption(stageOption())
    .addOption(
      new Option('-b, --micro-batch <rows>', 'rows that travel together (default 32)')
        .env('TANDEM_MICRO_BATCH')
        .argParser((text) => parseCount(text, '--micro-batch')),
    )
    .addOption(
      new Option('--depth <n>', 'micro-batches in flight; 1 is the sequential split')
        .env('TANDEM_DEPTH')
        .argParser((text) => parseCount(text, '--depth')),
    )
    .addOption(
      new Option('--deadline <seconds>', 'longest that one micro-batch may take in a stage')
        .env('TANDEM_DEADLINE')
        .default(600)
        .argParser((text) => parseCount(text, '--deadline')),
    )
    .addOption(
      new Option('--isolation <where>', 'where the workers of a stage live')
        .env('TANDEM_ISOLATION')
        .choices(ISOLATIONS)
        .default('auto'),
    )
    .option('--input-format <format>', 'jsonl, npy or npz, where the name does not tell')
    .option('--output-format <format>', 'likewise for the output')
    .option('--force', 'write over an output that exists', false)
    .option('--allow-fallback', 'let a gpu stage run on what is there instead', false)
    .option('-q, --quiet', 'no progress, no summary', false)
    .option('--json', 'print the summary as one JSON object on stdout', false)
    .action(async (model: string, flags: RunFlags) => {
      process.exitCode = await run(model, flags);
    });
}

export function stageOption(): Option {
  return new Option(
    '-s, --stage <device,key=value…>',
    'a stage, in order; keys: layers=A..B threads= workers= provider= memory=',
  )
    .argParser(collect(parseStageFlag))
    .default([], 'two on the CPU');
}

/** Runs the job and returns the exit status; everything that was opened is closed however it ends. */
export async function run(modelPath: string, flags: RunFlags): Promise<number> {
  if (flags.json && flags.output === STANDARD_STREAM) {
    throw new TandemError('TANDEM_USAGE', '--json and --output - both want stdout', {
      remedy: 'write the rows to a file, or leave --json out',
    });
  }
  const startedAt = performance.now();
  const graph = await openModel(modelPath);
  const input = inputsOf(graph, flags.input);
  const source = await openSource(input, graph.inputs, { format: flags.inputFormat });
  const signals = stopOnSignals();
  try {
    const sink = await openSink(flags.output, {
      format: flags.outputFormat,
      force: flags.force,
      rows: source.rows,
      outputs: graph.outputs,
      inputs: typeof input === 'string' ? [input] : [...input.values()],
    });
    const pipeline = await open(graph, source, flags).catch(async (error) => {
      await sink.abandon();
      throw error;
    });
    return await runRows(pipeline, { source, sink, signals, flags, startedAt }).finally(() => pipeline.close());
  } catch (error) {
    if (isBrokenPipe(error)) return EXIT.ok;
    throw error;
  } finally {
    signals.release();
    await source.close();
  }
}

async function open(graph: ModelGraph, source: Source, flags: RunFlags): Promise<Pipeline> {
  const deadline = flags.deadline * 1000;
  const plan = await makePlan(graph, {
    stages: flags.stage,
    microBatch: flags.microBatch,
    depth: flags.depth,
    isolation: flags.isolation,
    rowSpecs: source.rowSpecs,
    deadline,
  });
  if (!flags.quiet) process.stderr.write(formatPlan(graph, plan));
  return Pipeline.open(graph, plan, { allowFallback: flags.allowFallback, deadline });
}

interface Running {
  readonly source: Source;
  readonly sink: Sink;
  readonly signals: Signals;
  readonly flags: RunFlags;
  readonly startedAt: number;
}

async function runRows(pipeline: Pipeline, { source, sink, signals, flags, startedAt }: Running): Promise<number> {
  const names = pipeline.plan.stages.map(({ device }) => device);
  const bar = flags.quiet ? null : new ProgressBar(process.stderr, names);
  const result = await runJob({
    pipeline,
    source,
    sink,
    signal: signals.signal,
    onProgress: (progress) => bar?.show(() => ({ ...progress, total: source.rows, uses: pipeline.timeline.uses() })),
  }).finally(() => bar?.clear());
  const loadSeconds = (result.startedAt - startedAt) / 1000;
  const summary = await summarise(pipeline, result, loadSeconds, filesOf(flags, result.failedRows));
  if (!flags.quiet) process.stderr.write(formatSummary(summary));
  if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  return signals.exitCode ?? (result.failedRows > 0 ? EXIT.failedRows : EXIT.ok);
}

/** One path, or a file for each named input. A name that the model does not have is part of a path. */
export function inputsOf(graph: ModelGraph, inputs: readonly string[]): string | Map<string, string> {
  const names = new Set(graph.inputs.map(({ name }) => name));
  const named = new Map<string, string>();
  const plain: string[] = [];
  for (const text of inputs) {
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    if (at > 0 && names.has(name)) named.set(name, text.slice(at + 1));
    else plain.push(text);
  }
  if (plain.length === 0) return named;
  if (plain.length === 1 && named.size === 0) return plain[0]!;
  throw new TandemError('TANDEM_USAGE', `--input ${plain.at(-1)} does not say which of the model's inputs it holds`, {
    remedy: `write --input NAME=FILE for each of: ${[...names].join(', ')}`,
  });
}

function filesOf({ output }: RunFlags, failedRows: number) {
  const toFile = output !== STANDARD_STREAM;
  return { output: toFile ? output : null, errorsFile: toFile && failedRows > 0 ? errorsPath(output) : null };
}
