/** Types of the values inside an ONNX graph, as ORT itself infers them, without loading a weight. */

import type { Dimension, ValueType } from '../../model/onnx/value-type.js';
import type { OnnxModel } from '../../model/onnx.js';
import type { Slice } from '../../model/slice.js';
import { isDType, type TensorSpec } from '../../tensor.js';
import { openSession } from './session.js';
import { sliceModel } from './slice-model.js';

const SKETCH = { provider: 'cpu', threads: 1 } as const;

/**
 * The types of `names`, all made before op `to`. ORT gets everything before `to` with its weights declared but absent, and its own
 * inference is used rather than the model's declarations, which exporters leave wrong. If ORT cannot infer a type, it is the one that the
 * reader inferred through the graph.
 */
export async function inferTypes(
  model: OnnxModel,
  to: number,
  names: readonly string[],
): Promise<Map<string, ValueType>> {
  const types = new Map<string, ValueType>();
  for (const { name, type } of model.proto.inputs) if (type) types.set(name, type);
  const wanted = names.filter((name) => !types.has(name));
  if (wanted.length > 0) {
    for (const [name, type] of await sketchTypes(model, to, wanted, types).catch(() => [])) types.set(name, type);
  }
  for (const name of wanted) {
    const element = model.elementTypes.get(name);
    if (!types.has(name) && element) types.set(name, { kind: 'tensor', element, shape: null });
  }
  return types;
}

async function sketchTypes(
  model: OnnxModel,
  to: number,
  outputs: readonly string[],
  types: ReadonlyMap<string, ValueType>,
): Promise<[string, ValueType][]> {
  const inputs = model.graph.inputs.map(({ name }) => name);
  const bytes = sliceModel(model, { from: 0, to, inputs, outputs, types, withoutWeights: true });
  const session = await openSession({ bytes, folder: model.graph.folder, engine: SKETCH, sketch: true });
  try {
    return session.outputMetadata.flatMap((value): [string, ValueType][] =>
      value.isTensor ? [[value.name, { kind: 'tensor', element: value.type, shape: shapeOf(value.shape) }]] : [],
    );
  } finally {
    await session.release();
  }
}

/**
 * The slice's outputs for inputs of these dtypes and shapes, or `null` if ORT's inference leaves a dimension open, because it depends on
 * the values of the rows.
 */
export async function inferredTypes(
  model: OnnxModel,
  { from, to, inputs, outputs }: Slice,
  specs: readonly TensorSpec[],
): Promise<TensorSpec[] | null> {
  const types = new Map(
    specs.map(({ name, dtype, shape }): [string, ValueType] => [name, { kind: 'tensor', element: dtype, shape }]),
  );
  const bytes = sliceModel(model, { from, to, inputs, outputs, types, withoutWeights: true });
  const session = await openSession({ bytes, folder: model.graph.folder, engine: SKETCH, sketch: 'folded' });
  const found = new Map(session.outputMetadata.map((value) => [value.name, value]));
  await session.release();
  const inferred = outputs.flatMap((name): TensorSpec[] => {
    const value = found.get(name);
    if (!value?.isTensor || !isDType(value.type)) return [];
    const shape = shapeOf(value.shape);
    return shape?.every((dim) => typeof dim === 'number' && dim >= 0)
      ? [{ name, dtype: value.type, shape: shape as number[] }]
      : [];
  });
  return inferred.length === outputs.length ? inferred : null;
}

/** ORT reports [] both for a scalar and for a value of unknown rank. */
function shapeOf(shape: readonly (number | string)[]): Dimension[] | null {
  return shape.length === 0 ? null : shape.map((dim) => (dim === '' ? null : dim));
}
