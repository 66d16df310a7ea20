/** A slice of a GraphModel in tfjs. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { Op } from '../../model/graph.js';
import type { GraphModelGraph } from '../../model/graph-model.js';
import type { Slice } from '../../model/slice.js';
import { engineFailure, isOutOfMemory } from './failure.js';
import { type GraphPart, graphPart } from './graph-part.js';
import type { Tfjs } from './native.js';
import type { TfSlice } from './tf-slice.js';
import { heldBytes, loadWeights } from './weight.js';

type GraphModel = Awaited<ReturnType<Tfjs['loadGraphModel']>>;

interface Loaded {
  readonly model: GraphModel;
  readonly part: GraphPart;
  readonly weights: ReadonlySet<TfTensor>;
}

/** Throws TANDEM_WEIGHTS_SHORT, TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
export async function loadGraphSlice(tf: Tfjs, graph: GraphModelGraph, slice: Slice): Promise<TfSlice> {
  const part = graphPart(graph, slice);
  const stored = part.weights.map((name) => graph.weights.get(name)!);
  const weights = await loadWeights(tf, stored);
  try {
    const model = await modelOf(tf, part, weights);
    const loaded = { model, part, weights: new Set(weights.values()) };
    return {
      weightBytes: stored.reduce((sum, { name, bytes }) => sum + heldBytes(tf, weights.get(name)!, bytes), 0),
      run: (inputs) => runGraph(tf, loaded, graph.ops.slice(slice.from, slice.to), slice.outputs, inputs),
      dispose: () => model.dispose(),
    };
  } catch (cause) {
    tf.dispose([...weights.values()]);
    throw cause;
  }
}

/** The weights are there already: tfjs asks the `io` that it is given to decode them. */
function modelOf(tf: Tfjs, { artifacts }: GraphPart, weights: ReadonlyMap<string, TfTensor>): Promise<GraphModel> {
  const handler = { load: async () => ({ ...artifacts, weightSpecs: [], weightData: new ArrayBuffer(0) }) };
  return tf.loadGraphModel(handler as never, {}, {
    ...tf.io,
    decodeWeights: () => Object.fromEntries(weights),
  } as never);
}

async function runGraph(
  tf: Tfjs,
  loaded: Loaded,
  ops: readonly Op[],
  outputs: readonly string[],
  inputs: readonly TfTensor[],
): Promise<TfTensor[]> {
  try {
    return await fetchTensors(loaded, inputs, outputs);
  } catch (cause) {
    throw engineFailure(await whatFailed(tf, loaded, ops, inputs, cause), cause);
  }
}

/** The tensors `names`, owned by the caller. */
async function fetchTensors(
  { model, part, weights }: Loaded,
  inputs: readonly TfTensor[],
  names: readonly string[],
): Promise<TfTensor[]> {
  if (names.length === 0) return [];
  const fed = Object.fromEntries(part.feeds.map((name, n) => [name, inputs[n]!]));
  const made = part.isAsync ? await model.executeAsync(fed, [...names]) : model.execute(fed, [...names]);
  // tfjs may return the weight or the input itself.
  return [made].flat().map((tensor) => (weights.has(tensor) || inputs.includes(tensor) ? tensor.clone() : tensor));
}

/** The op that throws, found by bisection, because tfjs's error does not name it. Not inside loops, where absent tensors are legal, nor without memory. */
async function whatFailed(
  tf: Tfjs,
  loaded: Loaded,
  ops: readonly Op[],
  inputs: readonly TfTensor[],
  cause: unknown,
): Promise<string> {
  if (isOutOfMemory(cause) || ops.some(({ type }) => /^(Switch|Enter)$/.test(type))) {
    return `the slice ${ops[0]?.name} … ${ops.at(-1)?.name}`;
  }
  let good = 0;
  let bad = ops.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    const names = ops.slice(good, middle).flatMap((op) => op.outputs);
    try {
      tf.dispose(await fetchTensors(loaded, inputs, names));
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return `node ${ops[good]?.name} (${ops[good]?.type})`;
}
