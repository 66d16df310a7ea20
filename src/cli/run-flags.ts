/** The command line of `tandem run`. */
import { Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import type { StageOptions } from '../plan/plan.js';
import { CONFIG_FILE, ENVIRONMENT, FROM_TEXT, type RunSettings } from './config.js';

export interface RunFlags extends Omit<RunSettings, 'stages'> {
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
Without --stage tandem chooses devices, workers and threads; without layers= it measures the layers (once: the measurements
are kept) and cuts where the slowest stage is fastest. tandem plan shows what it would do, tandem inspect the layers by number.

A setting that no flag gives is looked for in the environment:
  ${Object.values(ENVIRONMENT).join(', ')}
then in ./${CONFIG_FILE}, for example { "stages": ["gpu", "cpu,threads=4"], "microBatch": 64 }.

Rows that cannot be used do not stop the run: they are told in <output>.errors.jsonl, or on stderr with --output -.

A run that was stopped or killed goes on where it was when the same command is given again, unless its rows came from a
pipe; the output is the same, byte for byte. What it needs for that lies in <output>.journal.

Exit status: 0 all rows are good, 1 unexpected, 2 wrong usage or input, 65 done with failed rows, 73 the output exists or
cannot be written, 75 stopped by an error after some rows, or because more failed than may: run it again to go on,
78 cannot run on this machine, 130 and 143 stopped by Ctrl-C and SIGTERM.

For example:
  tandem run model.json -i rows.npy -o out.npy
  tandem run model.json -i rows.jsonl -o out.jsonl --stage gpu,memory=6GiB --stage cpu,threads=4
  tandem run model.onnx -i ids=ids.npy -i mask=mask.npy -o out.npz --stage cpu,layers=0..5 --stage cpu,layers=6..11
  cat rows.jsonl | tandem run model.json -i - -o - | head`;

export function runCommand(action: (model: string, flags: RunFlags) => Promise<void>): Command {
  const { stages, microBatch, depth, deadline, plan } = FROM_TEXT;
  return new Command('run')
    .description('run a model over a file of rows, its layers spread over the devices so that all compute at once')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option('-i, --input <file>', 'rows: .jsonl, .npy, .npz, - for stdin; NAME=FILE.npy for each of several', collect)
    .option('-o, --output <file>', 'results: .jsonl, .npy, .npz, - for stdout')
    .option(
      '-s, --stage <device,key=value…>',
      'a stage, in order: cpu, gpu or gpu:1, then any of layers=A..B threads= workers= provider= memory=; gpu+cpu: one beside the other, in turn',
      (text, before: readonly StageOptions[] = []) => [...before, ...stages(text, '--stage')],
    )
    .addOption(setting('-b, --micro-batch <rows>', 'rows that travel together (default: measured)', microBatch))
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
        'auto measures, quick counts FLOPs, else a file that tandem plan wrote (default: auto)',
        plan,
      ),
    )
    .option('--allow-fallback', 'let a gpu stage run on what is there instead')
    .addOption(maxErrorsOption())
    .option('--allow-errors', ALLOW_ERRORS)
    .option('--input-format <format>', 'jsonl, npy or npz, where the name does not tell')
    .option('--output-format <format>', 'likewise for the output')
    .option('-f, --force', 'write over an output that exists')
    .option('--force-new', 'start over, whatever an earlier run has left')
    .option('-q, --quiet', 'no plan, no progress, no summary')
    .option('--json', 'print the summary as one JSON object on stdout')
    .option('--report <file.html>', 'write a page that shows the run: its timeline, plan, throughput and errors')
    .option('--trace <file.json>', 'write the timeline for ui.perfetto.dev and chrome://tracing')
    .option('--record <file.json>', 'write what the report shows as JSON; tandem report draws it')
    .option('--metrics-port <port>', 'tell Prometheus of the run at http://127.0.0.1:<port>/metrics', parsePort)
    .option('--metrics-host <host>', 'serve the metrics at this address, which opens them to others')
    .addHelpText('after', AFTER_HELP)
    .action(action);
}

export const ALLOW_ERRORS = 'exit with 0 even when rows have failed';

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

/** An option whose text is read as that of its environment variable is; what is wrong with it is told under the flag's name. */
function setting(flags: string, description: string, read: (text: string, where: string) => unknown): Option {
  const option = new Option(flags, description);
  return option.argParser((text) => read(text, option.long!));
}

/** 0 stands for any port that is free. */
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
