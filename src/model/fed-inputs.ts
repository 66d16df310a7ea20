/** The fed inputs of a model: rows along an axis of each, or one value for all rows. */
import { allocate, type Tensor, type TensorSpec } from '../tensor.js';
import type { ModelGraph } from './graph.js';
import { shapeOfRows } from './move-rows.js';

/** The rows' axis of an input; `null` if it is given once for all rows. */
export function inputAxis({ inputRows }: Pick<ModelGraph, 'inputRows'>, name: string): number | null {
  return inputRows?.get(name)?.axis === undefined ? 0 : inputRows.get(name)!.axis;
}

/** Inputs that follow the rows, in the model's order, with the rows' axis in front, as a source gives them. */
export function fedInputs(graph: Pick<ModelGraph, 'inputs' | 'inputRows' | 'dimensions'>): TensorSpec[] {
  return graph.inputs.flatMap((spec) => {
    const axis = inputAxis(graph, spec.name);
    if (axis === null) return [];
    if (graph.dimensions?.get(spec.name) === null) return [{ ...spec, openRank: true }];
    if (axis === 0) return [spec];
    return [{ ...spec, shape: [spec.shape[axis]!, ...spec.shape.toSpliced(axis, 1)] }];
  });
}

/**
 * One tensor for each graph input, in its order: zeros for `rows` rows, or the value that is given once for all. `rowSpecs` follow `fedInputs`
 * and have the shape of one row.
 */
export function zeroFeeds(graph: ModelGraph, rowSpecs: readonly TensorSpec[], rows: number): Tensor[] {
  return feedSpecs(graph, rowSpecs, rows).map(
    ({ name, dtype, shape }) => graph.inputRows?.get(name)?.value ?? { dtype, shape, data: allocate(dtype, shape) },
  );
}

/** The specs of those tensors. */
export function feedSpecs(
  graph: ModelGraph,
  rowSpecs: readonly TensorSpec[],
  rows: number,
): (TensorSpec & { readonly shape: readonly number[] })[] {
  const byName = new Map(rowSpecs.map((spec) => [spec.name, spec]));
  return graph.inputs.map(({ name, dtype }) => {
    const { axis, value } = graph.inputRows?.get(name) ?? { axis: 0 };
    const shape = value?.shape ?? shapeOfRows(byName.get(name)!.shape as number[], axis!, rows);
    return { name, dtype, shape };
  });
}
