/** What a figure is worth nothing without: the machine, the model and the versions that it was measured with. */
import { engineFor } from '../engine/registry.js';
import type { ModelGraph } from '../model/graph.js';
import { VERSION } from '../package.js';
import { machineFacts } from '../plan/machine-facts.js';
import { readNvidiaDriver } from '../plan/nvidia.js';
import type { TensorSpec } from '../tensor.js';
import { modelBytes } from './case-result.js';
import type { BenchResult } from './result.js';

/** `rowSpecs` are the shapes of one row. */
export function surroundingsOf(
  graph: ModelGraph,
  rowSpecs: readonly TensorSpec[],
): Pick<BenchResult, 'tandem' | 'date' | 'machine' | 'model'> {
  return {
    tandem: VERSION,
    date: new Date().toISOString(),
    machine: machineFacts(readNvidiaDriver()?.cards.map(({ name }) => name)),
    model: {
      path: graph.path,
      format: graph.format,
      engine: engineFor(graph.format),
      layers: graph.layers.length,
      weightBytes: modelBytes(graph),
      inputs: rowSpecs.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape as number[] })),
    },
  };
}
