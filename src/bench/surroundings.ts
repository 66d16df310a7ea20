/** What a figure is worth nothing without: the machine, the model and the versions that it was measured with. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { engineFor } from '../engine/registry.js';
import type { ModelGraph } from '../model/graph.js';
import { readMachine } from '../plan/machine.js';
import { readNvidiaDriver } from '../plan/nvidia.js';
import type { TensorSpec } from '../tensor.js';
import { modelBytes } from './case-result.js';
import type { BenchResult } from './result.js';

const PACKAGE = new URL('../../../package.json', import.meta.url);

/** `rowSpecs` are the shapes of one row. */
export function surroundingsOf(
  graph: ModelGraph,
  rowSpecs: readonly TensorSpec[],
): Pick<BenchResult, 'tandem' | 'date' | 'machine' | 'model'> {
  return {
    tandem: JSON.parse(readFileSync(PACKAGE, 'utf8')).version,
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model.trim() || process.arch,
      cores: readMachine().cores,
      memoryBytes: totalmem(),
      cards: readNvidiaDriver()?.cards.map(({ name }) => name) ?? [],
      platform: `${process.platform} ${process.arch}`,
      node: process.versions.node,
    },
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
