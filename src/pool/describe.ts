/** Describes the tensors of a model: its engine computes their shapes in a separate worker. */
import { inputAxis, zeroFeeds } from '../model/fed-inputs.js';
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import type { TensorSpec } from '../tensor.js';
import { closePools, type Isolation, openPools } from './isolation.js';
import type { PoolOptions } from './pool.js';
import { factsOf } from './protocol.js';

/** Computes the tensors' shapes in a temporary worker; `null` if the rows' shape is not known. */
export async function describe(
  graph: ModelGraph,
  { device, engine, provider, threads }: Pick<PoolOptions, 'device' | 'engine'> & { provider: string; threads: number },
  isolation: Isolation,
  { rowSpecs, deadlineMs }: Pick<PoolOptions, 'deadlineMs'> & { rowSpecs?: readonly TensorSpec[] | null | undefined },
): Promise<TensorFacts | null> {
  if (!rowSpecs) return null;
  const opened = await openPools(isolation, [
    { device, engine, engineOptions: { provider, threads }, workers: 1, deadlineMs },
  ]);
  try {
    const axes = graph.inputs.map(({ name }) => inputAxis(graph, name));
    const { path: model, fed = [], fixedBatch } = graph;
    const feeds = zeroFeeds(graph, rowSpecs, 1);
    return factsOf(await opened.pools[0]!.describe({ model, fed, axes, fixedBatch, feeds }));
  } finally {
    await closePools(opened);
  }
}
