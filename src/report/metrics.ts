/** Writes the metrics of a running job in Prometheus' text exposition format, version 0.0.4. */

/** The values of one scrape; counters never decrease during a run. */
export interface MetricsView {
  /** Version of tandem. */
  readonly version: string;
  readonly rows: number;
  readonly failedRows: number;
  /** Number of input rows, or `null` if unknown. */
  readonly totalRows: number | null;
  readonly microBatches: number;
  /** Micro-batches in flight now; `depth` is their maximum. */
  readonly inFlight: number;
  readonly depth: number;
  /** Current resident memory of this process. */
  readonly residentBytes: number;
  readonly stages: readonly StageMetrics[];
}

export interface StageMetrics {
  readonly device: string;
  readonly workers: number;
  readonly busySeconds: number;
  readonly microBatches: number;
  /** Peak resident memory of the stage's process; `null` if the stage has no process of its own. */
  readonly peakResidentBytes: number | null;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

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
    family('tandem_rows_total', 'counter', 'Rows done, including failed rows.', one(view.rows)),
    family('tandem_failed_rows_total', 'counter', 'Failed rows.', one(view.failedRows)),
    family('tandem_input_rows', 'gauge', 'Rows of the input, if known.', one(view.totalRows)),
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
      'Total computing seconds of the workers of the stage.',
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
      'Peak resident memory of the process of the stage.',
      byStage(({ peakResidentBytes }) => peakResidentBytes),
    ),
    family('process_resident_memory_bytes', 'gauge', 'Resident memory of the coordinator.', one(view.residentBytes)),
  ].join('');
}

/** A metric's help, type and samples; no lines without samples. */
export function family(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
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
