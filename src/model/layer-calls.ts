/** The topology of a LayersModel: its layers and the calls between them, checked and put in the order in which tfjs makes them. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { KERAS_TO_GRAPH } from './file-kind.js';
import { isLayerName, refuseUnreadable } from './unreadable-layers.js';

/** One tensor of one call: output `tensor` of the call at `node` in the layer's list of inbound nodes. */
export interface TensorRef {
  readonly layer: string;
  readonly node: number;
  readonly tensor: number;
}

export interface KerasLayer {
  readonly name: string;
  readonly type: string;
  /** With keys in snake_case, whichever the file has. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The inner layers of a nested model, or of a layer that wraps one. */
  readonly nested?: Topology;
  /** Position of the first call among the layer's inbound nodes: tfjs uses node 0 of a nested model internally. */
  readonly firstNode: number;
}

export interface LayerCall {
  readonly layer: KerasLayer;
  readonly node: number;
  readonly inputs: readonly TensorRef[];
}

/** The layers and calls of a model, nested or not. `calls` is in topological order. */
export interface Topology {
  readonly layers: ReadonlyMap<string, KerasLayer>;
  /** Input layers, as the caller feeds them. */
  readonly inputs: readonly KerasLayer[];
  readonly outputs: readonly TensorRef[];
  readonly calls: readonly LayerCall[];
}

const snakeKeys = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, held]) => [key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), held]),
      )
    : value;

const tensorRef = z.tuple([z.string(), z.int().nonnegative(), z.int().nonnegative()]).rest(z.unknown());
const named = z.looseObject({
  name: z.string().refine(isLayerName, { error: ({ input }) => `"${input}" is not a name that tfjs can use` }),
});
const layerEntry = z.preprocess(
  snakeKeys,
  z.object({
    name: z.string().optional(),
    class_name: z.string(),
    config: z.preprocess(snakeKeys, named),
    inbound_nodes: z.array(z.array(tensorRef)).default([]),
  }),
);
const functionalConfig = z.object({
  layers: z.array(layerEntry).min(1),
  input_layers: z.array(tensorRef).min(1),
  output_layers: z.array(tensorRef).min(1),
});
const sequentialConfig = z.object({ layers: z.array(layerEntry).min(1) });
const modelEntry = z.preprocess(snakeKeys, z.object({ class_name: z.string(), config: z.unknown() }));
type LayerEntry = z.infer<typeof layerEntry>;

/** Classes that hold a model. */
export function isModelType(type: string): boolean {
  return type === 'Sequential' || type === 'Model' || type === 'Functional';
}

/**
 * The topology in a model.json's `modelTopology`, as tfjs-saved (with or without `model_config`) or Keras-converted.
 * Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED.
 */
export function readTopology(modelTopology: unknown): Topology {
  const outer = snakeKeys(modelTopology) as { model_config?: unknown } | null | undefined;
  const { class_name: type, config } = check(modelEntry, outer?.model_config ?? outer, 'modelTopology');
  return topologyOf(type, config, 'the model');
}

function topologyOf(type: string, config: unknown, where: string): Topology {
  // Old files hold a Sequential as a bare list of layers.
  const held = (Array.isArray(config) ? { layers: config } : snakeKeys(config)) as Record<string, unknown>;
  refuseUnreadable(held?.layers, snakeKeys, where);
  if (type === 'Sequential') return sequential(check(sequentialConfig, held, where).layers, where);
  if (isModelType(type)) return functional(check(functionalConfig, held, where), where);
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `${where} is a ${type}; a LayersModel is Sequential or functional`,
    {
      remedy: `convert it as a graph: ${KERAS_TO_GRAPH}`,
    },
  );
}

function check<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(`the topology of ${where} is damaged: ${z.prettifyError(parsed.error)}`);
}

function invalid(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', message, { remedy: 'save or convert the model again' });
}

function layerOf({ name, class_name: type, config }: LayerEntry, where: string): KerasLayer {
  if (name !== undefined && name !== config.name) throw invalid(`${where} calls its layer ${config.name} also ${name}`);
  if (config.stateful === true) {
    throw new TandemError(
      'TANDEM_MODEL_UNSUPPORTED',
      `layer ${config.name} is stateful: one micro-batch would change the next one's result`,
      {
        remedy: 'save the model with stateful: false',
      },
    );
  }
  const isModel = isModelType(type);
  const wrapped =
    config.layer == null ? undefined : layerOf(check(layerEntry, config.layer, `layer ${config.name}`), where);
  const nested = isModel ? topologyOf(type, config, `the nested model ${config.name}`) : wrapped?.nested;
  return { name: config.name, type, config, nested, firstNode: isModel ? 1 : 0 };
}

function layersByName(entries: readonly LayerEntry[], where: string): Map<string, KerasLayer> {
  const layers = new Map<string, KerasLayer>();
  for (const entry of entries) {
    const layer = layerOf(entry, where);
    if (layers.has(layer.name)) throw invalid(`${where} has two layers named ${layer.name}`);
    layers.set(layer.name, layer);
  }
  return layers;
}

/** A chain. If it starts without an InputLayer, tfjs makes one, named after the first layer; a nested model has its own. */
function sequential(entries: readonly LayerEntry[], where: string): Topology {
  const layers = layersByName(entries, where);
  const chain = [...layers.values()];
  const first = chain[0]!;
  const brought = isModelType(first.type) ? first.nested?.inputs[0] : undefined;
  const input: KerasLayer =
    first.type === 'InputLayer'
      ? first
      : (brought ?? { ...first, name: `${first.name}_input`, type: 'InputLayer', firstNode: 0 });
  if (first === input) chain.shift();
  else if (layers.has(input.name)) throw invalid(`${where} has a layer named like its input ${input.name}`);
  else layers.set(input.name, input);
  const calls: LayerCall[] = [];
  let last: TensorRef = { layer: input.name, node: 0, tensor: 0 };
  for (const layer of chain) {
    // A nested model at the head is not called: the Sequential uses its inner layers (node 0).
    const node = layer === first ? 0 : layer.firstNode;
    calls.push({ layer: layer === first ? { ...layer, firstNode: 0 } : layer, node, inputs: [last] });
    last = { layer: layer.name, node, tensor: 0 };
  }
  return { layers, inputs: [input], outputs: [last], calls };
}

function functional(config: z.infer<typeof functionalConfig>, where: string): Topology {
  const layers = layersByName(config.layers, where);
  const known = (ref: TensorRef) => {
    const layer = layers.get(ref.layer);
    if (!layer) throw invalid(`${where} takes a tensor from ${ref.layer}, a layer that it does not have`);
    if (ref.node < layer.firstNode) throw invalid(`${where} takes a tensor from inside the nested model ${ref.layer}`);
    return layer;
  };
  const inputs = config.input_layers.map(refOf).map(known);
  for (const { name, type } of inputs) {
    if (type !== 'InputLayer') throw invalid(`${where} lists ${name} as an input, but it is a ${type}`);
  }
  const outputs = config.output_layers.map(refOf);
  const pending = new Map<KerasLayer, TensorRef[][]>();
  for (const entry of config.layers) {
    const calls = entry.inbound_nodes.filter((call) => call.length > 0).map((call) => call.map(refOf));
    for (const ref of calls.flat()) known(ref);
    if (calls.length > 0) pending.set(layers.get(entry.config.name)!, calls);
  }
  const calls = callOrder(inputs, pending, where);
  const made = new Set([
    ...inputs.map(({ name }) => `${name}:0`),
    ...calls.map(({ layer, node }) => `${layer.name}:${node}`),
  ]);
  for (const ref of outputs) {
    known(ref);
    if (!made.has(`${ref.layer}:${ref.node}`))
      throw invalid(`${where} returns call ${ref.node} of ${ref.layer}, which is never made`);
  }
  return { layers, inputs, outputs, calls };
}

function refOf([layer, node, tensor]: readonly [string, number, number, ...unknown[]]): TensorRef {
  return { layer, node, tensor };
}

/**
 * The calls in the order in which tfjs makes them: repeatedly through the layers in file order, each call as soon as its inputs exist.
 * A layer's calls are numbered in that order, not in the file's, as tfjs resolves later references (Container.fromConfig).
 */
function callOrder(inputs: readonly KerasLayer[], pending: Map<KerasLayer, TensorRef[][]>, where: string): LayerCall[] {
  const calls: LayerCall[] = [];
  const nodes = new Map<string, number>(inputs.map(({ name }) => [name, 1]));
  const isMade = ({ layer, node }: TensorRef) => node < (nodes.get(layer) ?? 0);
  for (const layer of pending.keys()) nodes.set(layer.name, layer.firstNode);
  while (pending.size > 0) {
    const before = calls.length;
    for (const [layer, waiting] of pending) {
      const late: TensorRef[][] = [];
      for (const refs of waiting) {
        if (!refs.every(isMade)) {
          late.push(refs);
          continue;
        }
        const node = nodes.get(layer.name) ?? 0;
        nodes.set(layer.name, node + 1);
        calls.push({ layer, node, inputs: refs });
      }
      if (late.length > 0) pending.set(layer, late);
      else pending.delete(layer);
    }
    if (calls.length === before) {
      const stuck = [...pending.keys()].map(({ name }) => name).slice(0, 5);
      throw invalid(
        `${where} has layers that wait for each other or for a call that is never made: ${stuck.join(', ')}`,
      );
    }
  }
  return calls;
}
