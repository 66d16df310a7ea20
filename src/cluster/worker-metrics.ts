/** The metrics of a worker, and of the jobs that the queue shows it, in Prometheus' text format. */
import { family, type Sample } from '../report/metrics.js';
import { MetricsServer } from '../report/metrics-server.js';
import type { QueueAddress } from './queue-address.js';
import { type QueuedJob, statusOfView } from './queue-status.js';
import type { Registry, WorkerReport } from './registry.js';

export interface MetricsPlace {
  readonly metricsPort: number;
  /** Default 127.0.0.1. */
  readonly metricsHost?: string | undefined;
}

/** Throws TANDEM_USAGE if it cannot listen there. */
export function serveWorkerMetrics(
  { metricsPort, metricsHost = '127.0.0.1' }: MetricsPlace,
  report: () => WorkerReport,
  registry: Registry,
  address: QueueAddress,
): Promise<MetricsServer> {
  const text = async () => {
    const { jobs } = await statusOfView(await registry.view(), address);
    return workerMetrics(report(), jobs);
  };
  return MetricsServer.open({ port: metricsPort, host: metricsHost, text });
}

export function workerMetrics(report: WorkerReport, jobs: readonly QueuedJob[]): string {
  const open = jobs.filter(({ state }) => state === 'open');
  const each = (value: (job: QueuedJob) => number): Sample[] =>
    open.map((job) => [{ job: job.id.slice(0, 16) }, value(job)]);
  const { state, shardsDone, shardsFailed, rowsDone, refuses, version } = report;
  return [
    family('tandem_info', 'gauge', 'The version of tandem that runs.', [[{ version }, 1]]),
    family('tandem_worker_busy', 'gauge', 'Whether a shard runs here.', [[{}, state === 'running' ? 1 : 0]]),
    family('tandem_worker_shards_total', 'counter', 'Shards that were done here.', [[{}, shardsDone]]),
    family('tandem_worker_failed_shards_total', 'counter', 'Attempts of shards that failed here.', [
      [{}, shardsFailed],
    ]),
    family('tandem_worker_rows_total', 'counter', 'Rows of the shards that were done here.', [[{}, rowsDone]]),
    family('tandem_worker_refused_jobs', 'gauge', 'Jobs that this worker does not take.', [
      [{}, Object.keys(refuses).length],
    ]),
    family(
      'tandem_job_shards',
      'gauge',
      'Shards of the job.',
      each(({ shards }) => shards),
    ),
    family(
      'tandem_job_shards_done',
      'gauge',
      'Shards of the job that are committed.',
      each(({ done }) => done),
    ),
    family(
      'tandem_job_shards_waiting',
      'gauge',
      'Shards that wait for a worker.',
      each(({ waiting }) => waiting),
    ),
    family(
      'tandem_job_shards_running',
      'gauge',
      'Shards that run now.',
      each(({ running }) => running.length),
    ),
    family(
      'tandem_job_shards_failed',
      'gauge',
      'Shards that no machine could finish.',
      each(({ failed }) => failed),
    ),
  ].join('');
}
