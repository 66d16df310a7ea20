/** The metrics of a run at the moment of a scrape. */

import { VERSION } from '../package.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { type MetricsView, metricsText } from '../report/metrics.js';
import { MetricsServer } from '../report/metrics-server.js';
import type { Source } from '../rows/source.js';
import type { Progress } from './job.js';

/** The run so far; its fields are set while it proceeds. */
export interface Watched {
  readonly source?: Pick<Source, 'rows'>;
  readonly pipeline?: Pipeline;
  readonly progress?: Progress;
}

/** Throws TANDEM_USAGE. */
export function serveMetrics(
  { metricsPort, metricsHost = '127.0.0.1' }: { readonly metricsPort: number; readonly metricsHost?: string },
  watched: Watched,
): Promise<MetricsServer> {
  const text = async () => metricsText(await viewOf(watched));
  return MetricsServer.open({ port: metricsPort, host: metricsHost, text });
}

async function viewOf({ source, pipeline, progress }: Watched): Promise<MetricsView> {
  const uses = pipeline?.timeline.uses() ?? [];
  const peaks = (await pipeline?.peakRss()) ?? [];
  return {
    version: VERSION,
    rows: progress?.rows ?? 0,
    failedRows: progress?.failedRows ?? 0,
    totalRows: source?.rows ?? null,
    microBatches: progress?.microBatches ?? 0,
    inFlight: pipeline?.inFlight ?? 0,
    depth: pipeline?.plan.depth ?? 0,
    residentBytes: process.memoryUsage.rss(),
    stages: uses.map(({ busySeconds, microBatches }, j) => {
      const { device, workers } = pipeline!.plan.stages[j]!;
      return { device, workers, busySeconds, microBatches, peakResidentBytes: peaks[j] ?? null };
    }),
  };
}
