/** Infers the tensors of a LayersModel from its layers: shapes without computing, dtypes by a run if they can differ. */
import type { layers, Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { TandemError } from '../../errors.js';
import { inputAxis } from '../../model/fed-inputs.js';
import type { TensorFacts } from '../../model/graph.js';
import type { LayersModelGraph } from '../../model/layers-model.js';
import { type DType, isDType, type Shape, type Tensor } from '../../tensor.js';
import { buildTopology } from './layers-slice.js';
import type { Tfjs } from './native.js';

interface Fact {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** `feeds` (one row each) give the dimensions that the model leaves open. */
export async function layersFacts(tf: Tfjs, graph: LayersModelGraph, feeds: readonly Tensor[]): Promise<TensorFacts> {
  const model = await buildTopology(tf, graph.topology);
  try {
    const facts = new Map<string, Fact>();
    for (const [n, { name, dtype, shape }] of graph.inputs.entries()) {
      const rowsAxis = inputAxis(graph, name);
      facts.set(name, { dtype, shape: feeds[n]!.shape.map((dim, axis) => (axis === rowsAxis ? shape[axis]! : dim)) });
    }
    for (const [k, op] of graph.ops.entries()) {
      const { layer: name, tensors } = graph.calls[k]!;
      const made = factsOf(
        tf,
        model.getLayer(name),
        op.inputs.map((input) => facts.get(input)!),
      );
      for (const [n, output] of op.outputs.entries()) {
        const fact = made[tensors[n]!];
        if (!fact) throw new TandemError('TANDEM_MODEL_INVALID', `layer ${name} makes no tensor ${tensors[n]}`);
        facts.set(output, fact);
      }
    }
    return facts;
  } finally {
    tf.dispose(model.weights.map((weight) => weight.read()));
  }
}

function factsOf(tf: Tfjs, layer: layers.Layer, inputs: readonly Fact[]): Fact[] {
  const shapes = inputs.map(({ shape }) => [...shape]);
  const computed = layer.computeOutputShape(shapes.length === 1 ? shapes[0]! : shapes) as Shape | Shape[];
  const made = (Array.isArray(computed[0]) ? computed : [computed]) as Shape[];
  const dtypes = dtypesOf(tf, layer, inputs);
  return made.map((shape, n) => ({ shape, dtype: dtypes[n] ?? 'float32' }));
}

/**
 * A layer with weights computes in float32, and so does one that reads only float32. Any other may keep its input's dtype (tfjs's symbolic
 * tensors do not show it): it is run on one row of zeros.
 */
function dtypesOf(tf: Tfjs, layer: layers.Layer, inputs: readonly Fact[]): DType[] {
  if (layer.weights.length > 0 || inputs.every(({ dtype }) => dtype === 'float32')) return [];
  const dtypes: DType[] = [];
  tf.tidy(() => {
    const zeros = inputs.map(({ dtype, shape }) =>
      tf.zeros(
        shape.map((dim) => dim ?? 1),
        dtype as 'int32',
      ),
    );
    for (const { dtype } of [layer.apply(zeros) as TfTensor | TfTensor[]].flat())
      if (isDType(dtype)) dtypes.push(dtype);
  });
  return dtypes;
}
