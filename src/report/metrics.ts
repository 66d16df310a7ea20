/** The metrics of a running job in Prometheus' text exposition format, version 0.0.4. */

/** What a scrape is told; counters only grow while a run lasts. */
export interface MetricsView {
  /** Of tandem. */
  readonly version: string;
  readonly rows: number;
  readonly failedRows: number;
  /** Rows in all, where the input told. */
  readonly totalRows: number | null;
  readonly microBatches: number;
  /** Micro-batches in flight now, and at most. */
  readonly inFlight: number;
  readonly depth: number;
  /** Resident memory of this process now. */
  readonly residentBytes: number;
  readonly stages: readonly StageMetrics[];
}

export interface StageMetrics {
  readonly device: string;
  readonly workers: number;
  readonly busySeconds: number;
  readonly microBatches: number;
  /** The most that the stage's own process has held; `null` where it has none. */
  readonly peakResidentBytes: number | null;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

export function metricsText(view: MetricsView): string {
  const { stages } = view;
  const byStage = (value: (stage: StageMetrics) => number | null): Sample[] =>
    stages.flatMap((stage, j): Sample[] => {
      const found = value(stage);
      return found === null ? [] : [[{ stage: String(j), device: stage.device }, found]];
    });
  const one = (value: number | null): Sample[] => (value === null ? [] : [[{}, value]]);
  return [
    family('tandem_info', 'gauge', 'The version of tandem that runs.', [[{ version: view.version }, 1]]),
    family('tandem_rows_total', 'counter', 'Rows done, failed ones included.', one(view.rows)),
    family('tandem_failed_rows_total', 'counter', 'Rows that could not be used.', one(view.failedRows)),
    family('tandem_input_rows', 'gauge', 'Rows that the input has, where it tells.', one(view.totalRows)),
    family('tandem_micro_batches_total', 'counter', 'Micro-batches done.', one(view.microBatches)),
    family('tandem_in_flight_micro_batches', 'gauge', 'Micro-batches in flight.', one(view.inFlight)),
    family('tandem_depth_micro_batches', 'gauge', 'Micro-batches that may be in flight.', one(view.depth)),
    family(
      'tandem_stage_workers',
      'gauge',
      'Workers of the stage.',
      byStage(({ workers }) => workers),
    ),
    family(
      'tandem_stage_busy_seconds_total',
      'counter',
      'Seconds that the workers of the stage have computed, together.',
      byStage(({ busySeconds }) => busySeconds),
    ),
    family(
      'tandem_stage_micro_batches_total',
      'counter',
      'Micro-batches that the stage has computed.',
      byStage(({ microBatches }) => microBatches),
    ),
    family(
      'tandem_stage_peak_resident_memory_bytes',
      'gauge',
      'The most memory that the process of the stage has held.',
      byStage(({ peakResidentBytes }) => peakResidentBytes),
    ),
    family('process_resident_memory_bytes', 'gauge', 'Resident memory of the coordinator.', one(view.residentBytes)),
  ].join('');
}

/** A metric's samples under its help and type; nothing at all where there are none. */
function family(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
