/** Reads a TensorFlow.js LayersModel: one op per call of a layer, weights by the layers' names. No weight bytes are read. */
import { dirname } from 'node:path';
import { TandemError } from '../errors.js';
import { layersAreBatchInvariant } from './batch-invariant.js';
import type { ModelGraph, Op } from './graph.js';
import { fixedBatch, inputSpec } from './input-spec.js';
import {
  isModelType,
  type KerasLayer,
  type LayerCall,
  readTopology,
  type TensorRef,
  type Topology,
} from './layer-calls.js';
import { readWeightsManifest, type StoredWeight, shardsOf } from './weights-manifest.js';

/** The data besides the graph that an engine needs for the op. */
export interface OpCall {
  readonly layer: string;
  /** The layer's own name. */
  readonly config: KerasLayer['config'];
  /** Index among the layer's inbound nodes in tfjs. */
  readonly node: number;
  /** Index of each of the op's `outputs` among the tensors that the call returns. */
  readonly tensors: readonly number[];
}

export interface LayersModelGraph extends ModelGraph {
  readonly weights: ReadonlyMap<string, StoredWeight>;
  /** 1:1 with `ops`. */
  readonly calls: readonly OpCall[];
  /** `modelTopology` as in the file. */
  readonly topology: unknown;
}

/** Layers that may read a mask when they compute; other layers at most pass it on. A nested model may contain one. */
const MASK_READERS = new Set([
  'SimpleRNN',
  'GRU',
  'LSTM',
  'RNN',
  'ConvLSTM2D',
  'Bidirectional',
  'TimeDistributed',
  'Softmax',
]);

/**
 * The graph of the LayersModel in `manifest`, the parsed model.json at `file` (absolute).
 * Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*.
 */
export async function readLayersModel(file: string, manifest: Record<string, unknown>): Promise<LayersModelGraph> {
  const topology = readTopology(manifest.modelTopology);
  const inputs = topology.inputs.map(({ name, type, config }) =>
    inputSpec(name, config.dtype ?? 'float32', declaredShape(type, config)),
  );
  const weights = await readWeightsManifest(file, manifest.weightsManifest);
  const calls = maskedOrder(topology, neededCalls(topology));
  const ops = opsOf(topology, calls, weightsByLayer(topology, weights.keys()));
  return {
    format: 'layers-model',
    path: file,
    folder: dirname(file),
    files: [file, ...shardsOf(weights)],
    inputs,
    outputs: topology.outputs.map((ref) => tensorName(topology, ref)),
    outputNames: outputNames(topology),
    ops,
    layers: ops.map(({ index, name, type }) => ({ index, name, type, from: index, to: index + 1 })),
    calls: calls.map(({ layer, node }, k) => ({
      layer: layer.name,
      config: layer.config,
      node,
      tensors: ops[k]!.outputs.map(tensorIndex),
    })),
    weights,
    forbiddenCuts: maskedCuts(calls),
    fixedBatch: fixedBatch(inputs),
    batchInvariant: layersAreBatchInvariant(ops),
    topology: manifest.modelTopology,
  };
}

/** `layer` for the first tensor of the first call, else `layer:call:tensor`. */
function tensorName({ layers }: Topology, { layer, node, tensor }: TensorRef): string {
  const call = node - firstNodeOf(layers.get(layer)!, node);
  return call === 0 && tensor === 0 ? layer : `${layer}:${call}:${tensor}`;
}

/** A nested model at the head of a Sequential is used at its node 0, elsewhere from its node 1 on. */
function firstNodeOf({ firstNode }: KerasLayer, node: number): number {
  return Math.min(firstNode, node);
}

function tensorIndex(name: string): number {
  return Number(name.split(':')[2] ?? 0);
}

/** The calls that an output depends on; tfjs never runs the others. */
function neededCalls({ calls, outputs }: Topology): LayerCall[] {
  const key = ({ layer, node }: { layer: string; node: number }) => `${layer}:${node}`;
  const needed = new Set(outputs.map(key));
  return calls
    .toReversed()
    .filter(({ layer, node, inputs }) => {
      if (!needed.has(key({ layer: layer.name, node }))) return false;
      for (const ref of inputs) needed.add(key(ref));
      return true;
    })
    .reverse();
}

function opsOf(topology: Topology, calls: readonly LayerCall[], weights: ReadonlyMap<string, string[]>): Op[] {
  const outputs = new Map<string, Set<number>>();
  for (const { layer, node, tensor } of [...calls.flatMap((call) => call.inputs), ...topology.outputs]) {
    const key = `${layer}:${node}`;
    outputs.set(key, (outputs.get(key) ?? new Set()).add(tensor));
  }
  return calls.map(({ layer, node, inputs }, index) => {
    const call = node - firstNodeOf(layer, node);
    const made = [...(outputs.get(`${layer.name}:${node}`) ?? [])].sort((a, b) => a - b);
    return {
      index,
      name: call === 0 ? layer.name : `${layer.name}:${call}`,
      type: layer.type,
      inputs: inputs.map((ref) => tensorName(topology, ref)),
      outputs: made.map((tensor) => tensorName(topology, { layer: layer.name, node, tensor })),
      weights: weights.get(layer.name) ?? [],
    };
  });
}

/** Public names are layer names, as in tfjs; if two outputs would share one, the tensor's name. */
function outputNames(topology: Topology): Map<string, string> {
  const layers = topology.outputs.map(({ layer }) => layer);
  const isAlone = (layer: string) => layers.indexOf(layer) === layers.lastIndexOf(layer);
  return new Map(
    topology.outputs
      .filter(({ layer }) => isAlone(layer))
      .map((ref) => [tensorName(topology, ref), ref.layer] as const)
      .filter(([tensor, name]) => tensor !== name),
  );
}

function declaredShape(type: string, config: KerasLayer['config']): unknown {
  if (config.batch_input_shape != null) return config.batch_input_shape;
  const batch = config.batch_size ?? null;
  if (Array.isArray(config.input_shape)) return [batch, ...config.input_shape];
  // tfjs gives an Embedding at the head of a Sequential this shape.
  if (type === 'Embedding') return [batch, config.input_length ?? null].flat();
  return undefined;
}

/** For each layer of the model the weights that its calls read: those named after it or after a layer of a model within it. */
function weightsByLayer(topology: Topology, names: Iterable<string>): Map<string, string[]> {
  const owners = new Map<string, Set<string>>();
  const own = ({ layers }: Topology, owner: string | null) => {
    for (const layer of layers.values()) {
      const top = owner ?? layer.name;
      owners.set(layer.name, (owners.get(layer.name) ?? new Set()).add(top));
      if (layer.nested) own(layer.nested, top);
    }
  };
  own(topology, null);
  const weights = new Map<string, string[]>();
  for (const name of names) {
    const owner = ownerOf(name, owners);
    if (owner !== undefined) weights.set(owner, [...(weights.get(owner) ?? []), name]);
  }
  return weights;
}

/** Layer names may hold slashes: the longest one that the weight's name begins with owns it. */
function ownerOf(weight: string, owners: ReadonlyMap<string, ReadonlySet<string>>): string | undefined {
  for (let end = weight.lastIndexOf('/'); end > 0; end = weight.lastIndexOf('/', end - 1)) {
    const found = owners.get(weight.slice(0, end));
    if (!found) continue;
    if (found.size > 1) {
      throw new TandemError(
        'TANDEM_MODEL_UNSUPPORTED',
        `two layers could own the weight ${weight}: in ${[...found].join(' and in ')}`,
        {
          remedy: 'give every layer a name of its own, nested models included, and save the model again',
        },
      );
    }
    return [...found][0];
  }
  return undefined;
}

function makesMask({ type, config }: KerasLayer): boolean {
  return type === 'Masking' || (type === 'Embedding' && config.mask_zero === true);
}

function readsMask({ type }: KerasLayer): boolean {
  return MASK_READERS.has(type) || isModelType(type);
}

/** A slot carries no masks: from the layer that makes the first one to the last that may read one, no cut is legal. */
function maskedCuts(calls: readonly LayerCall[]): Set<number> {
  const first = calls.findIndex(({ layer }) => makesMask(layer));
  const last = calls.findLastIndex(({ layer }) => readsMask(layer));
  const cuts = new Set<number>();
  if (first >= 0) for (let k = first + 1; k <= last; k++) cuts.add(k);
  return cuts;
}

/**
 * If there are masks, the calls in the order in which tfjs executes them. It passes the mask of one layer to every later one that has none
 * (executor.ts keeps `kwargs`), so that with masks the order is part of the result. Without masks, the order given.
 */
function maskedOrder(topology: Topology, calls: LayerCall[]): LayerCall[] {
  if (!calls.some(({ layer }) => makesMask(layer))) return calls;
  const key = ({ layer, node }: { layer: string; node: number }) => `${layer}:${node}`;
  const callOf = new Map(calls.map((call) => [key({ layer: call.layer.name, node: call.node }), call]));
  const done = new Set<LayerCall>();
  for (const output of topology.outputs) {
    const stack = [callOf.get(key(output))];
    const opened = new Set<LayerCall>();
    while (stack.length > 0) {
      const call = stack.at(-1);
      if (call && !done.has(call) && !opened.has(call)) {
        opened.add(call);
        stack.push(...call.inputs.map((ref) => callOf.get(key(ref))));
        continue;
      }
      stack.pop();
      if (call) done.add(call);
    }
  }
  return [...done];
}
