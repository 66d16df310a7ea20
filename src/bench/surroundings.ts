/** The conditions of a measurement: the machine, the model and the versions. */
import { engineOf } from '../engine/choose.js';
import { cardNames } from '../machine/cards/cards.js';
import { machineFacts } from '../machine/facts.js';
import type { ModelGraph } from '../model/graph.js';
import { VERSION } from '../package.js';
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
    machine: machineFacts(cardNames()),
    model: {
      path: graph.path,
      format: graph.format,
      engine: engineOf(graph, 'cpu').id,
      layers: graph.layers.length,
      weightBytes: modelBytes(graph),
      inputs: rowSpecs.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape as number[] })),
    },
  };
}
