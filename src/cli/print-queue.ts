/** What `tandem status --queue` prints: jobs with their shards, and machines. */

import type { QueuedJob, QueueStatus } from '../cluster/queue-status.js';
import { formatRows, grouped } from '../grouped-digits.js';
import { printable } from './fail.js';
import { formatClock, formatRate } from './progress.js';
import { formatTable } from './table.js';

export function formatQueue({ jobs, workers, refused }: QueueStatus): string {
  const lines = jobs.length === 0 ? ['no jobs'] : jobs.flatMap(formatJob);
  if (refused.length > 0) {
    lines.push(`${refused.length} not signed with TANDEM_QUEUE_SECRET, or written by another version of tandem`);
  }
  lines.push(
    '',
    ...(workers.length === 0 ? ['no workers: on each machine: tandem worker --queue ADDRESS'] : formatWorkers(workers)),
  );
  return lines.map((line) => `${line}\n`).join('');
}

function formatJob(job: QueuedJob): string[] {
  const { id, output, state, why, secondsAgo } = job;
  const name = `${id.slice(0, 8)}  ${printable(output)}`;
  if (state !== 'open') {
    return [`${name}: ${state} ${formatClock(secondsAgo)} ago`, ...(why ? [`          ${printable(why)}`] : [])];
  }
  const runs = job.running.map(
    ({ shard, host, pid, seconds, rowsPerSecond }) =>
      `          shard ${shard} on ${printable(host)} (process ${pid}) for ${formatClock(seconds)}, ${formatRate(rowsPerSecond)}`,
  );
  const refusals = job.refusals.map(
    ({ host, pid, why }) => `          not taken by ${printable(host)} (process ${pid}): ${printable(why)}`,
  );
  return [`${name}: ${formatShards(job)}`, ...runs, ...refusals];
}

/** One line: what `--watch` shows again and again. */
export function formatShards(job: QueuedJob): string {
  const { shards, done, waiting, failed, running, rows, rowsDone, rowsPerSecond, etaSeconds } = job;
  const counts = [
    `${done} of ${shards} shards done`,
    ...(running.length > 0 ? [`${running.length} running`] : []),
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  const rate = rowsPerSecond > 0 ? `, ${formatRate(rowsPerSecond)}` : '';
  const left = etaSeconds === null ? '' : `, ${formatClock(etaSeconds)} left`;
  return `${counts.join(', ')}; ${grouped(rowsDone)} of ${formatRows(rows)}${rate}${left}`;
}

function formatWorkers(workers: QueueStatus['workers']): string[] {
  const titles = [
    { title: 'worker' },
    { title: 'state' },
    { title: 'shards' },
    { title: 'rows' },
    { title: 'heard of' },
  ];
  const rows = workers.map(({ host, pid, state, shardsDone, shardsFailed, rowsDone, secondsAgo }) => [
    `${printable(host)} (process ${pid})`,
    state,
    shardsFailed > 0 ? `${shardsDone}, ${shardsFailed} failed` : String(shardsDone),
    grouped(rowsDone),
    `${formatClock(secondsAgo)} ago`,
  ]);
  return formatTable(titles, rows).split('\n');
}
