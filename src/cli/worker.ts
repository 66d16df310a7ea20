/** `tandem worker`: runs shards of the queue's jobs on this machine. */
import { Command, Option } from 'commander';
import { EXIT, TandemError } from '../errors.js';
import { printable } from './fail.js';
import { queueOption } from './queue-flag.js';
import { stopOnSignals } from './signals.js';

interface Flags {
  readonly queue?: string;
  readonly root?: readonly string[];
  readonly once?: boolean;
  readonly lock?: number;
  readonly quiet?: boolean;
  readonly metricsPort?: number;
  readonly metricsHost?: string;
}

const AFTER_HELP = `
The worker plans each job for its own hardware. It takes no job that it cannot run with the same bytes (another version, model,
input or engine), and tandem status --queue says why. SIGTERM and Ctrl-C give the shard back that runs and end the worker with
status 0; what was done of the shard is kept where its resume folder is.

For example:
  tandem worker --queue redis://queue.example:6379 --root /data`;

export function workerCommand(): Command {
  return new Command('worker')
    .description('run shards of the jobs of a queue on this machine, until it is stopped')
    .addOption(queueOption())
    .option(
      '--root <folder>',
      'a folder that jobs may read and write in, repeatable (default: the working directory)',
      collect,
    )
    .option('--once', 'end when the queue has no job that this machine can run')
    .addOption(
      new Option(
        '--lock <seconds>',
        'how long a shard of a silent worker stays with it (default: 300; 60 for machines that may vanish)',
      ).argParser(secondsFrom),
    )
    .option('-q, --quiet', 'print errors alone')
    .option('--metrics-port <port>', 'serve Prometheus metrics of the worker and the queue', portFrom)
    .option('--metrics-host <host>', 'serve the metrics at this address; other machines may then read them')
    .addHelpText('after', AFTER_HELP)
    .action(async (flags: Flags) => {
      process.exitCode = await work(flags);
    });
}

async function work({ queue, root, once, lock, quiet, metricsPort, metricsHost }: Flags): Promise<number> {
  const say = (text: string) => {
    if (!quiet) process.stderr.write(`tandem: ${printable(text)}\n`);
  };
  const stop = stopOnSignals(() => say('stopping; a second signal stops at once'));
  const { runWorker } = await import('../cluster/worker.js');
  try {
    const lockMs = lock === undefined ? {} : { lockMs: lock * 1000, stalledCheckMs: Math.min(30_000, lock * 500) };
    const metrics = metricsPort === undefined ? {} : { metricsPort, ...(metricsHost && { metricsHost }) };
    await runWorker({
      ...(queue && { queue }),
      ...(root && { roots: root }),
      ...(once && { once }),
      ...lockMs,
      ...metrics,
      signal: stop.signal,
      onNotice: say,
    });
    return EXIT.ok;
  } finally {
    stop.release();
  }
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function secondsFrom(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new TandemError('TANDEM_USAGE', `--lock "${text}" is no number of seconds`, {
    remedy: 'for example --lock 60',
  });
}

/** 0 is any free port. */
function portFrom(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new TandemError('TANDEM_USAGE', `--metrics-port "${text}" is not a port`, {
    remedy: 'give a number from 0 to 65535; 0 takes one that is free',
  });
}
