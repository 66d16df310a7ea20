/** `tandem status`: the progress of the job of an output, or of the jobs of a queue. */
import { Command } from 'commander';
import type { QueueAddress } from '../cluster/queue-address.js';
import { EXIT, TandemError } from '../errors.js';
import { formatRows, grouped } from '../grouped-digits.js';
import { type JobStatus, statusOf } from '../output/status.js';
import { printable } from './fail.js';
import { formatClock } from './progress.js';
import { stopOnSignals } from './signals.js';

interface Flags {
  readonly json?: boolean;
  /** true: the one that TANDEM_QUEUE names. */
  readonly queue?: string | true;
  readonly watch?: boolean;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('show the progress of the job of an output (running, stopped or finished), or of the jobs of a queue')
    .argument('[output]', 'as it was given to tandem run; with --queue also the beginning of an id')
    .option('--json', 'print one JSON object')
    .option('--queue [address]', 'the jobs and machines of a queue (default: TANDEM_QUEUE)')
    .option('--watch', 'with --queue: show the job of an output until it has ended')
    .action(async (output: string | undefined, flags: Flags) => {
      if (flags.queue !== undefined) process.exitCode = await queueStatusOf(output, flags);
      else if (output !== undefined && !flags.watch) await outputStatusOf(output, flags);
      else throw missing(flags);
    });
}

function missing({ watch }: Flags): TandemError {
  return new TandemError(
    'TANDEM_USAGE',
    watch ? '--watch shows a job of a queue' : 'the output is missing, or --queue',
    {
      remedy: 'tandem status OUTPUT, or: tandem status [OUTPUT --watch] --queue redis://host:6379',
    },
  );
}

async function outputStatusOf(output: string, { json }: Flags): Promise<void> {
  const status = await statusOf(output);
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : formatStatus(status));
}

async function queueStatusOf(asked: string | undefined, { queue, json, watch }: Flags): Promise<number> {
  const [{ queueAddress }, { queueStatus }, { formatQueue }] = await Promise.all([
    import('../cluster/queue-address.js'),
    import('../cluster/queue-status.js'),
    import('./print-queue.js'),
  ]);
  const address = queueAddress(queue === true ? undefined : queue);
  if (watch) {
    if (asked === undefined) throw missing({ watch });
    return watchOne(asked, address, json);
  }
  const status = await queueStatus(address, asked);
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : formatQueue(status));
  return EXIT.ok;
}

async function watchOne(asked: string, address: QueueAddress, json = false): Promise<number> {
  const { exitOfJob, watchJob } = await import('./watch-job.js');
  const stop = stopOnSignals(() => {});
  const job = await watchJob(asked, address, { signal: stop.signal });
  stop.release();
  if (!job) return stop.exitCode!;
  if (json) process.stdout.write(`${JSON.stringify(job)}\n`);
  return exitOfJob(job);
}

export function formatStatus(status: JobStatus): string {
  const { output, state, rows, of, failedRows, nonFiniteRows, beganSecondsAgo, changedSecondsAgo } = status;
  const inAll = of === null || state === 'finished' ? '' : ` of ${grouped(of)}`;
  const failed = failedRows > 0 ? `, ${grouped(failedRows)} failed` : '';
  const nonFinite = nonFiniteRows > 0 ? `, ${grouped(nonFiniteRows)} with NaN or an infinity` : '';
  const lines = [
    `${printable(output)}: ${state}${formatHolder(status)}, ${formatRows(rows)}${inAll}${failed}${nonFinite}`,
    `begun ${formatClock(beganSecondsAgo)} ago, last written ${formatClock(changedSecondsAgo)} ago`,
  ];
  if (state === 'stopped') lines.push(`to resume: tandem resume ${printable(output)}`);
  return lines.map((line) => `${line}\n`).join('');
}

function formatHolder({ pid, host, renewedSecondsAgo }: JobStatus): string {
  if (pid === null) return '';
  return ` (process ${pid} on ${printable(host ?? '')}, heard of ${formatClock(renewedSecondsAgo ?? 0)} ago)`;
}
