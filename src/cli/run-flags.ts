/** The command line of `tandem run`. */
import { Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import type { RunSettings } from '../job/run-request.js';
import { STAGE_EXAMPLES, type StageOptions } from '../plan/stage-options.js';
import { FORMATS, OUTPUT_FORMATS } from '../rows/format.js';
import { axisFrom, CONFIG_FILE, ENVIRONMENT, FROM_TEXT, pairFrom } from './config.js';
import { type ShardFlags, withShards } from './shard-flags.js';

export interface RunFlags extends Omit<RunSettings, 'stages'>, ShardFlags {
  readonly input?: readonly string[];
  readonly output?: string;
  readonly stage?: readonly StageOptions[];
  readonly inputFormat?: string;
  readonly outputFormat?: string;
  readonly force?: boolean;
  readonly forceNew?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly report?: string;
  readonly trace?: string;
  readonly record?: string;
  readonly metricsPort?: number;
  readonly metricsHost?: string;
}

const AFTER_HELP = `
Without --stage tandem chooses devices, workers and threads. What it measures for that is in proportion to the job: a short
one begins at once; for a longer one a few plans are tried; if it pays, the layers are measured and the model is cut where the
slowest stage is fastest. The plan is kept, and made anew when runs take other times. tandem plan measures in any case
and prints the plan; tandem inspect prints the layers by number.

A setting without a flag is read from the environment:
  ${Object.values(ENVIRONMENT).join(', ')}
then from ./${CONFIG_FILE}, for example { "stages": ["gpu", "cpu,threads=4"], "microBatch": 64 }.

Rows that fail do not stop the run: they are listed in <output>.errors.jsonl, or on stderr with --output -.
Rows with NaN or an infinity fail in every format, unless --allow-non-finite; in JSON these are NaN, Infinity and
-Infinity, with or without quotes. Results that hold one are written as they are (in JSON as "NaN", "Infinity", "-Infinity"),
and the summary counts their rows.

A run that was stopped or killed is resumed when the same command is given again, unless its rows came from a
pipe; the output is the same, byte for byte. Its progress is in <output>.journal.

Exit status: 0 all rows are good, 1 unexpected, 2 wrong usage or input, 65 done with failed rows, 73 the output exists or
cannot be written, 75 stopped by an error after some rows, or by --max-errors: run it again to resume,
78 cannot run on this machine, 130 and 143 stopped by Ctrl-C and SIGTERM.

For example:`;

/** What distinguishes the verbs that run a file. */
export interface Verb {
  readonly name: string;
  readonly description: string;
  /** A line each, after a line feed. */
  readonly examples: string;
}

const RUN: Verb = {
  name: 'run',
  description: 'run a model over a file of rows, its layers spread over the devices so that all compute at once',
  examples: `
  tandem run model.json -i rows.npy -o out.npy
  tandem run model.json -i rows.jsonl -o out.jsonl --stage gpu,memory=6GiB --stage cpu,threads=4
  tandem run model.onnx -i ids=ids.npy -i mask=mask.npy -o out.npz --stage cpu,layers=0..5 --stage cpu,layers=6..11
  cat rows.jsonl | tandem run model.json -i - -o - | head`,
};

const KEEP =
  "columns of the input that are written beside the results; * for all, '' for none (default: all where a table is made of a table); a name that is an output of the model: only outputs that are named";
const ROWS = `rows: files (${FORMATS.map((format) => `.${format}`).join(', ')}; also .gz, .zst), globs, folders, - for stdin; given again, rows that follow; NAME=FILE.npy for each of several inputs`;

export function runCommand<Flags extends RunFlags>(
  action: (model: string, flags: Flags) => Promise<void>,
  { name, description, examples }: Verb = RUN,
): Command {
  const { stages, microBatch, depth, deadline, plan } = FROM_TEXT;
  const command = withShards(new Command(name));
  return command
    .description(description)
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .argument('[rows...]', 'as --input')
    .option('-i, --input <file>', ROWS, collect)
    .option('-o, --output <file>', `results: ${OUTPUT_FORMATS.map((format) => `.${format}`).join(', ')}; - for stdout`)
    .addOption(setOption())
    .addOption(rowsAxisOption())
    .addOption(imageOption())
    .addOption(columnOption())
    .addOption(windowOption())
    .addOption(carryOption())
    .addOption(setting('--keep <a,b>', KEEP, FROM_TEXT.keep))
    .option(
      '-s, --stage <device,key=value…>',
      `a stage, in order: cpu, gpu or gpu:1, then any of ${STAGE_EXAMPLES}; gpu,share=3+cpu: both have the same layers, and of four micro-batches the first takes three (share= or turns=; default: by speed)`,
      (text, before: readonly StageOptions[] = []) => [...before, ...stages(text, '--stage')],
    )
    .addOption(setting('-b, --micro-batch <rows>', 'rows of a micro-batch (default: measured)', microBatch))
    .addOption(
      setting('--depth <n>', 'micro-batches in flight; 1: one stage works at a time (default: enough for all)', depth),
    )
    .addOption(
      setting('--deadline <seconds>', 'longest that a micro-batch may take in a stage (default: 600)', deadline),
    )
    .addOption(isolationOption())
    .addOption(
      setting(
        '--plan <how>',
        'auto measures as far as it pays, quick measures nothing, else a plan file of tandem plan (default: auto)',
        plan,
      ),
    )
    .option('--allow-fallback', 'let a gpu stage run on another device')
    .addOption(maxErrorsOption())
    .option('--allow-errors', ALLOW_ERRORS)
    .option(
      '--allow-non-finite',
      'let rows and --set values pass that hold NaN or infinities (default: such a row fails)',
    )
    .option('--input-format <format>', `${FORMATS.join(', ')}, if the file's name does not show it`)
    .option('--output-format <format>', `likewise for the output: ${OUTPUT_FORMATS.join(', ')}`)
    .option('-f, --force', 'write over an output that exists')
    .option('--force-new', 'start over, and discard what an earlier run has left')
    .option('-q, --quiet', 'no plan, no progress, no summary')
    .option('--json', 'print the summary as one JSON object on stdout')
    .option('--report <file.html>', 'write a page that shows the run: its timeline, plan, throughput and errors')
    .option('--trace <file.json>', 'write the timeline for ui.perfetto.dev and chrome://tracing')
    .option('--record <file.json>', 'write the data of the report as JSON; tandem report draws it')
    .option(
      '--metrics-port <port>',
      'serve Prometheus metrics of the run at http://127.0.0.1:<port>/metrics',
      parsePort,
    )
    .option('--metrics-host <host>', 'serve the metrics at this address; other machines may then read them')
    .addHelpText('after', AFTER_HELP + examples)
    .action((model: string, rows: readonly string[], flags: Flags) => action(model, withRows(flags, rows)));
}

/** Rows are named behind the model, or by --input. */
function withRows<Flags extends RunFlags>(flags: Flags, rows: readonly string[]): Flags {
  if (rows.length === 0) return flags;
  if (flags.input === undefined) return { ...flags, input: rows };
  throw new TandemError('TANDEM_USAGE', `rows are given by --input and behind the model: ${rows.join(' ')}`, {
    remedy:
      'each file has a flag of its own: --input FILE; put a pattern in quotes, so that the shell does not expand it',
  });
}

export const ALLOW_ERRORS = 'exit with 0 even when rows have failed';

/** Repeated flags are merged. */
function pairOption<T>(flags: string, description: string, read: (value: string, where: string) => T): Option {
  const option = new Option(flags, description);
  return option.argParser((text, before: Readonly<Record<string, T>> = {}) => ({
    ...before,
    ...pairFrom(text, option.long!, read),
  }));
}

export function setOption(): Option {
  const what = 'give an input once for all rows: a number, 0.5,1,2, JSON lists, or @FILE.npy';
  return pairOption('--set <name=value>', what, (value) => value);
}

export function rowsAxisOption(): Option {
  return pairOption('--rows-axis <name=n>', 'the axis of an input or output that its rows lie on, from 0', axisFrom);
}

export function imageOption(): Option {
  const what =
    "how images become rows, over the model's preprocessor_config.json: any of resize=N|WxH, shortest=N, longest=N, edges=SHORTEST,LONGEST, pad=N|WxH, crop=N|WxH, letterbox=PIXEL, resample=bilinear|bicubic…, color=rgb|bgr|grey, layout=nchw|nhwc, scale=1/255, mean=R,G,B, std=R,G,B, max-pixels=N";
  return setting('--image <key=value,…>', what, FROM_TEXT.image);
}

export function windowOption(): Option {
  const what = 'run WAV files in windows of so many samples, in order: SAMPLES[,hop=N][,lead=N][,rate=16000]';
  return setting('--window <samples,…>', what, FROM_TEXT.window);
}

export function carryOption(): Option {
  const what = 'give an input the output of the window before, zeros at first: state=stateN';
  return pairOption('--carry <input=output>', what, (value) => value);
}

export function columnOption(): Option {
  return setting(
    '--column <name>',
    'the column that has the texts, or the images: paths, base64 or bytes',
    FROM_TEXT.column,
  );
}

export function isolationOption(): Option {
  return setting(
    '--isolation <where>',
    'where stages live: auto, thread, process (default: auto)',
    FROM_TEXT.isolation,
  );
}

export function maxErrorsOption(): Option {
  const meaning = 'stop when more rows than this have failed (default: never)';
  return setting('--max-errors <n|p%>', meaning, FROM_TEXT.maxErrors);
}

/** An option that is read like its environment variable; errors name the flag. */
function setting(flags: string, description: string, read: (text: string, where: string) => unknown): Option {
  const option = new Option(flags, description);
  return option.argParser((text) => read(text, option.long!));
}

/** 0 is any free port. */
function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new TandemError('TANDEM_USAGE', `--metrics-port "${text}" is not a port`, {
    remedy: 'give a number from 0 to 65535; 0 takes one that is free',
  });
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
