/** The inspection of a model graph, from the shapes of its tensors: pure. */
import type { TandemError } from '../errors.js';
import { isLegalCut, liveBytes, liveTensors } from '../model/cut.js';
import { estimateFlops } from '../model/flops.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { rowsAxisIn } from '../model/move-rows.js';
import type { Inspection, RowsInspection } from './inspection.js';
import { groupsOf } from './layer-groups.js';

export function inspect(
  graph: ModelGraph,
  facts: TensorFacts,
  note: string | null = null,
  problems: ReadonlyMap<string, TandemError> = new Map(),
  batchInvariant: boolean | null = null,
): Inspection {
  const flops = facts.size > 0 ? estimateFlops(graph, facts) : null;
  const live = liveBytes(graph, facts, 1);
  const sum = (from: number, to: number) => flops?.slice(from, to).reduce((total, count) => total + count, 0) ?? null;
  const layers = graph.layers.map(({ index, name, type, from, to }) => ({
    layer: index,
    name,
    type,
    ops: to - from,
    output: facts.get(graph.ops[to - 1]?.outputs[0] ?? '') ?? null,
    weightBytes: weightBytes(graph, from, to),
    flopsPerRow: sum(from, to),
    cut: from === 0 || isLegalCut(graph, from),
    liveBytesPerRow: live[from] ?? null,
    liveTensors: liveTensors(graph, from),
  }));
  return {
    schema: 1,
    format: graph.format,
    path: graph.path,
    inputs: graph.inputs.map((input) => ({ ...input, rows: inputRows(graph, input.name, problems) })),
    outputs: graph.outputs.map((tensor) => {
      const fact = facts.get(tensor);
      return {
        name: graph.outputNames?.get(tensor) ?? tensor,
        tensor,
        dtype: fact?.dtype ?? null,
        shape: fact?.shape ?? null,
        rows: outputRows(graph, tensor, fact?.shape),
      };
    }),
    weightBytes: weightBytes(graph, 0, graph.ops.length),
    flopsPerRow: sum(0, graph.ops.length),
    batchInvariant,
    note,
    layers,
    groups: groupsOf(graph, layers),
  };
}

function inputRows(
  { inputRows: known }: ModelGraph,
  name: string,
  problems: ReadonlyMap<string, TandemError>,
): RowsInspection {
  const problem = problems.get(name);
  if (problem)
    return { lie: 'unknown', axis: null, how: `it ${problem.message.replace(/^input .*?\) /, '')}; ${problem.remedy}` };
  const { axis, how } = known?.get(name) ?? { axis: 0, how: 'its first axis' };
  return { lie: axis === null ? 'once' : 'axis', axis, how };
}

function outputRows(
  { outputRows: decided, format, fixedBatch }: ModelGraph,
  tensor: string,
  shape: readonly (number | null)[] | undefined,
): RowsInspection {
  const known = decided?.get(tensor);
  if (known) return { lie: 'axis', ...known };
  if (format === 'layers-model') return { lie: 'axis', axis: 0, how: 'the batch axis of a Keras model' };
  const axis = rowsAxisIn(shape ?? []);
  if (axis !== null) return { lie: 'axis', axis, how: 'seen in runs with one row and with two' };
  if (fixedBatch !== null && shape?.[0] === fixedBatch) {
    return {
      lie: 'axis',
      axis: 0,
      how: `its first axis, ${fixedBatch === 1 ? '1 row' : `${fixedBatch} rows`} at a time`,
    };
  }
  const how = shape ? 'no axis of it follows the rows' : 'a run shows it';
  return { lie: 'unknown', axis: null, how };
}
