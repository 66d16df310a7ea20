/** `tandem run`: a batch file through the model. */
import { Command, Option } from 'commander';
import { EXIT, TandemError } from '../errors.js';
import { errorsPath } from '../job/errors-file.js';
import { STANDARD_STREAM } from '../job/format.js';
import { runJob } from '../job/job.js';
import { openSink } from '../job/open-sink.js';
import { openSource } from '../job/open-source.js';
import { isBrokenPipe } from '../job/output-error.js';
import type { Source } from '../job/source.js';
import { type Summary, summarise } from '../job/summary.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { makePlan } from '../plan/make-plan.js';
import type { StageOptions } from '../plan/plan.js';
import { formatPlan, formatSummary } from './print-run.js';
import { ProgressBar } from './progress.js';
import { stopOnSignals } from './signals.js';
import { parseCount, parseStageFlag } from './stage-flag.js';

export interface RunFlags {
  readonly input: readonly string[];
  readonly output: string;
  readonly stage: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
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

export async function run(modelPath: string, flags: RunFlags): Promise<number> {
  if (flags.json && flags.output === STANDARD_STREAM) {
    throw new TandemError('TANDEM_USAGE', '--json and --output - both want stdout', {
      remedy: 'write the rows to a file, or leave --json out',
    });
  }
  const startedAt = performance.now();
  const graph = await openModel(modelPath);
  const source = await openSource(inputsOf(graph, flags.input), graph.inputs, { format: flags.inputFormat });
  try {
    return await runFrom(graph, source, flags, startedAt);
  } finally {
    await source.close();
  }
}

async function runFrom(graph: ModelGraph, source: Source, flags: RunFlags, startedAt: number): Promise<number> {
  const deadline = flags.deadline * 1000;
  const plan = await makePlan(graph, {
    stages: flags.stage,
    microBatch: flags.microBatch,
    depth: flags.depth,
    rowSpecs: source.rowSpecs,
    deadline,
  });
  const sink = await openSink(flags.output, { format: flags.outputFormat, force: flags.force, rows: source.rows });
  let pipeline: Pipeline;
  try {
    if (!flags.quiet) process.stderr.write(formatPlan(graph, plan));
    pipeline = await Pipeline.open(graph, plan, { allowFallback: flags.allowFallback, deadline });
  } catch (error) {
    await sink.abandon();
    throw error;
  }
  const signals = stopOnSignals();
  try {
    await pipeline.warmUp(source.rowSpecs);
    const loadSeconds = (performance.now() - startedAt) / 1000;
    const bar = new ProgressBar(
      process.stderr,
      plan.stages.map(({ device }) => device),
    );
    const since = performance.now();
    const result = await runJob({
      pipeline,
      source,
      sink,
      signal: signals.signal,
      onProgress: ({ rows, failedRows }) => {
        if (flags.quiet) return;
        bar.show(() => ({
          rows,
          failedRows,
          total: source.rows,
          seconds: (performance.now() - since) / 1000,
          uses: pipeline.timeline.uses(),
        }));
      },
    }).finally(() => bar.clear());
    const summary = await summarise(pipeline, result, loadSeconds, filesOf(flags, result.failedRows));
    report(summary, flags);
    return signals.exitCode ?? (result.failedRows > 0 ? EXIT.failedRows : EXIT.ok);
  } catch (error) {
    if (isBrokenPipe(error)) return EXIT.ok;
    throw error;
  } finally {
    signals.release();
    await pipeline.close();
  }
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

function report(summary: Summary, { json, quiet }: RunFlags): void {
  if (!quiet) process.stderr.write(formatSummary(summary));
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
}
