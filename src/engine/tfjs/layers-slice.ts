/** A slice of a LayersModel in tfjs: the whole topology without its weights, the weights of the slice's own layers, one call after another. */
import type { layers, TensorContainer, Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { TandemError } from '../../errors.js';
import { spentAfter } from '../../liveness.js';
import { KERAS_TO_GRAPH } from '../../model/file-kind.js';
import type { Op } from '../../model/graph.js';
import type { LayersModelGraph, OpCall } from '../../model/layers-model.js';
import type { Slice } from '../../model/slice.js';
import type { StoredWeight } from '../../model/weights-manifest.js';
import { engineFailure } from './failure.js';
import type { Tfjs } from './native.js';
import { sharedZeros } from './shared-zeros.js';
import type { TfSlice } from './tf-slice.js';
import { heldBytes, loadWeights } from './weight.js';

type Layer = layers.Layer;
type LayerVariable = Layer['weights'][number];

/** One call of a layer, and the tensors that are disposed after it. */
interface Step {
  readonly op: Op;
  readonly call: OpCall;
  readonly layer: Layer;
  /** Tensors of this slice that are read here for the last time. */
  readonly spent: readonly string[];
}

/** Throws TANDEM_WEIGHTS_MISSING, TANDEM_WEIGHTS_SHORT, TANDEM_MODEL_INVALID, TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
export async function loadLayersSlice(tf: Tfjs, graph: LayersModelGraph, slice: Slice): Promise<TfSlice> {
  const model = await buildTopology(tf, graph.topology);
  const all = model.weights.map((variable) => variable.read());
  try {
    const calls = graph.calls.slice(slice.from, slice.to);
    const own = [...new Set(calls.map(({ layer }) => layer))].map((name) => model.getLayer(name));
    const variables = own.flatMap(({ weights }) => weights.map((variable) => variable.read()));
    const kept = new Set(variables);
    tf.dispose(all.filter((variable) => !kept.has(variable)));
    await fillVariables(tf, own, graph.weights);
    const steps = stepsOf(graph, slice, new Map(own.map((layer) => [layer.name, layer])));
    return {
      weightBytes: variables.reduce((sum, variable) => sum + heldBytes(tf, variable, 0), 0),
      run: (inputs) => tf.tidy(() => runSteps(tf, slice, steps, inputs)),
      dispose: () => tf.dispose(variables),
    };
  } catch (cause) {
    tf.dispose(all);
    throw cause;
  }
}

/**
 * The model as tfjs builds it, with variables of shared zeros, so that they take no memory before they are replaced or disposed; any
 * other initialiser would fill them.
 */
export async function buildTopology(tf: Tfjs, topology: unknown): Promise<InstanceType<Tfjs['LayersModel']>> {
  try {
    // All its work is before its first await: the tidy disposes what some initialisers (LSTM's bias) leave behind, and no variable.
    let built: ReturnType<Tfjs['models']['modelFromJSON']> | undefined;
    const modelTopology = withInitializer(topology, sharedZeros(tf)) as never;
    tf.tidy(() => {
      built = tf.models.modelFromJSON({ modelTopology });
    });
    return await built!;
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `tfjs cannot build this model: ${(cause as Error).message}`, {
      remedy: `convert it as a graph: ${KERAS_TO_GRAPH}`,
      cause,
    });
  }
}

function withInitializer(config: unknown, name: string): unknown {
  if (Array.isArray(config)) return config.map((each) => withInitializer(each, name));
  if (typeof config !== 'object' || config === null) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      /initializer$/i.test(key) && value !== null ? name : withInitializer(value, name),
    ]),
  );
}

async function fillVariables(
  tf: Tfjs,
  own: readonly Layer[],
  stored: ReadonlyMap<string, StoredWeight>,
): Promise<void> {
  const filled = own.flatMap((layer) =>
    layer.weights.map((variable, index) => ({ variable, weight: findWeight(layer, variable, index, stored) })),
  );
  const values = await loadWeights(
    tf,
    filled.map(({ weight }) => weight),
  );
  for (const { variable, weight } of filled) {
    tf.tidy(() => {
      variable.write(values.get(weight.name)!);
    });
  }
  tf.dispose([...values.values()]);
}

/** The weight for a layer's variable. Throws TANDEM_WEIGHTS_MISSING, TANDEM_MODEL_INVALID. */
function findWeight(
  layer: Layer,
  variable: LayerVariable,
  index: number,
  stored: ReadonlyMap<string, StoredWeight>,
): StoredWeight {
  const weight = weightNamed(variable.originalName, index, stored);
  if (!weight) {
    throw new TandemError(
      'TANDEM_WEIGHTS_MISSING',
      `layer ${layer.name} needs the weight ${variable.originalName}, which the model does not list`,
      { remedy: 'save or convert the model again, with its weights' },
    );
  }
  if (String(weight.shape) !== String(variable.shape)) {
    throw new TandemError(
      'TANDEM_MODEL_INVALID',
      `the weight ${weight.name} is [${weight.shape}], but layer ${layer.name} needs [${variable.shape}]`,
      {
        remedy: 'save or convert the model again',
      },
    );
  }
  return weight;
}

/**
 * By the rules of tfjs (Container.loadWeights): the variable's own name; or a name with the cell's name before the last part, as
 * TF 2.2 and later write it; or, if Keras numbered the weights of each layer, that number.
 */
function weightNamed(name: string, index: number, stored: ReadonlyMap<string, StoredWeight>): StoredWeight | undefined {
  const slash = name.lastIndexOf('/');
  const [first] = stored.keys();
  if (first !== undefined && /\/\s*[-+]?\d[^/]*$/.test(first)) return stored.get(`${name.slice(0, slash)}/${index}`);
  const found = stored.get(name);
  if (found) return found;
  const withoutCell = (listed: string) => listed.split('/').toSpliced(-2, 1).join('/');
  for (const [listed, weight] of stored) if (withoutCell(listed) === name) return weight;
  return undefined;
}

function stepsOf(graph: LayersModelGraph, slice: Slice, layers: ReadonlyMap<string, Layer>): Step[] {
  const ops = graph.ops.slice(slice.from, slice.to);
  const spent = spentAfter(ops, [...slice.inputs, ...slice.outputs]);
  return ops.map((op, n) => {
    const call = graph.calls[slice.from + n]!;
    return { op, call, layer: layers.get(call.layer)!, spent: spent[n]! };
  });
}

/** Runs inside a tidy, which disposes the rest, above all masks. */
function runSteps(tf: Tfjs, slice: Slice, steps: readonly Step[], inputs: readonly TfTensor[]): TfTensor[] {
  const values = new Map(slice.inputs.map((name, n) => [name, inputs[n]!]));
  const masks = new Map<string, TfTensor>();
  // As in tfjs's executor: a layer's mask is kept for later layers that have none.
  const kwargs: { mask?: TfTensor } = {};
  for (const step of steps) {
    try {
      runStep(tf, step, values, masks, kwargs);
    } catch (cause) {
      throw engineFailure(`layer ${step.op.name} (${step.op.type})`, cause);
    }
    for (const name of step.spent) {
      values.get(name)?.dispose();
      values.delete(name);
    }
  }
  return slice.outputs.map((name) => values.get(name)!);
}

function runStep(
  tf: Tfjs,
  { op, call, layer }: Step,
  values: Map<string, TfTensor>,
  masks: Map<string, TfTensor>,
  kwargs: { mask?: TfTensor },
): void {
  const inputs = op.inputs.map((name) => values.get(name)!);
  const inputMasks = op.inputs.map((name) => masks.get(name) ?? null);
  if (inputMasks.some((mask) => mask !== null)) kwargs.mask = inputMasks[0] as TfTensor;
  // The tidy disposes the masks that `apply` computes and does not return.
  const { made, mask } = tf.tidy(() => {
    const applied = layer.apply(inputs, kwargs) as TfTensor | TfTensor[];
    const computed = layer.supportsMasking ? layer.computeMask(inputs, inputMasks as TfTensor[]) : null;
    // An LSTM returns its last output again as a state: the same object, which must be disposed only after the last read of both.
    const own = [applied].flat().map((tensor, n, all) => (all.indexOf(tensor) === n ? tensor : tensor.clone()));
    return { made: own, mask: [computed].flat()[0] } as TensorContainer;
  }) as { made: TfTensor[]; mask?: TfTensor };
  const wanted = new Set(call.tensors);
  tf.dispose(made.filter((_, n) => !wanted.has(n)));
  for (const [n, name] of op.outputs.entries()) {
    values.set(name, made[call.tensors[n]!]!);
    if (mask) masks.set(name, mask);
  }
}
