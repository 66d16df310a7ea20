/** Finds out before measuring whether rows of one micro-batch change each other's answers. */
import { TandemError } from '../errors.js';
import { type BatchInvariance, findInvariance, knownInvariance } from '../planner/batch-invariance.js';
import type { Layout } from './layouts.js';
import { type OpenOptions, openTrial } from './open-layouts.js';

/** Rows that are run together for the test. */
const ROWS = 4;

/** On each device that is compared. `undefined` if every micro-batch has one row, or no device can be opened. */
export async function rowIndependence(
  options: OpenOptions,
  progress: (what: string) => void,
): Promise<BatchInvariance | undefined> {
  const { graph, bank, microBatches } = options;
  if (graph.fixedBatch === 1 || microBatches?.every((rows) => rows === 1)) return undefined;
  const found: BatchInvariance[] = [];
  for (const layout of onePerDevice(options.layouts)) {
    const request = { rowSpecs: bank.specs, stages: layout.stages };
    const known = await knownInvariance(graph, request);
    if (known !== undefined) found.push(known);
    else {
      progress('checking whether rows change each other …');
      const trial = await openTrial(options, layout, graph.fixedBatch ?? ROWS, 1).catch(skipped);
      if (trial === null) continue;
      try {
        found.push(await findInvariance(trial.pipeline, request));
      } finally {
        await trial.close();
      }
    }
  }
  if (found.includes(false)) return false;
  return found.includes(null) ? null : found[0];
}

/** The first layout of each set of devices and providers: other differences do not change answers. */
function onePerDevice(layouts: readonly Layout[]): Layout[] {
  const devices = ({ stages }: Layout) =>
    [...new Set(stages.map(({ device, provider = '' }) => `${device} ${provider}`))].sort().join();
  return [...new Map(layouts.toReversed().map((layout) => [devices(layout), layout])).values()];
}

/** A layout that cannot be opened is skipped here; the comparison reports the reason. */
function skipped(error: unknown): null {
  if (error instanceof TandemError) return null;
  throw error;
}
