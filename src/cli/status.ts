/** `tandem status`: how far the job of an output is. */
import { Command } from 'commander';
import { type JobStatus, statusOf } from '../job/job-status.js';
import { printable } from './fail.js';
import { formatClock, formatRows } from './progress.js';

export function statusCommand(): Command {
  return new Command('status')
    .description('show how far the job of an output is: running, stopped or finished')
    .argument('<output>', 'as it was given to tandem run')
    .option('--json', 'print one JSON object')
    .action(async (output: string, { json }: { json?: boolean }) => {
      const status = await statusOf(output);
      process.stdout.write(json ? `${JSON.stringify(status)}\n` : formatStatus(status));
    });
}

export function formatStatus(status: JobStatus): string {
  const { output, state, rows, of, failedRows, pid, beganSecondsAgo, changedSecondsAgo } = status;
  const inAll = of === null || state === 'finished' ? '' : ` of ${of.toLocaleString('en')}`;
  const failed = failedRows > 0 ? `, ${failedRows.toLocaleString('en')} failed` : '';
  const by = pid === null ? '' : ` (process ${pid})`;
  const lines = [
    `${printable(output)}: ${state}${by}, ${formatRows(rows)}${inAll}${failed}`,
    `begun ${formatClock(beganSecondsAgo)} ago, last written ${formatClock(changedSecondsAgo)} ago`,
  ];
  if (state === 'stopped') lines.push(`to go on: tandem resume ${printable(output)}`);
  return lines.map((line) => `${line}\n`).join('');
}
