/** The metrics of `tandem run`: what a scrape is told of the run at this moment. */
import type { Progress } from '../job/job.js';
import type { Source } from '../job/source.js';
import { VERSION } from '../package.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { type MetricsView, metricsText } from '../report/metrics.js';
import { MetricsServer } from '../report/metrics-server.js';

/** What is known of the run so far; it fills as the run goes on. */
export interface Watched {
  readonly source?: Source;
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
