/** The signature of a GraphModel: the names of its inputs and outputs, and the placeholders of hash tables. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import type { TensorSpec } from '../tensor.js';
import { edgeName, type GraphDef, type GraphNode, typeName } from './graph-def.js';
import { inputSpec } from './input-spec.js';

/** The initialiser of the model's hash tables, which runs once before the first run. */
export interface Tables {
  readonly initializer: unknown;
  readonly initializerSignature: unknown;
  /** Entries of the signature whose placeholder is a table, by key. */
  readonly captured: Readonly<Record<string, TensorInfo>>;
  /** Weights that the initializer reads. */
  readonly weights: readonly string[];
}

/** The inputs and outputs of the graph. A feed has its public name also inside the graph; its node is in `feeds`. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly feeds: ReadonlyMap<string, string>;
  readonly outputs: readonly string[];
  /** Public names, by tensor, if they differ. */
  readonly outputNames: ReadonlyMap<string, string>;
  readonly tables: Tables | null;
}

const dims = z.looseObject({
  dim: z.array(z.looseObject({ size: z.union([z.string(), z.number()]).optional() })).nullish(),
  unknownRank: z.boolean().nullish(),
});
const tensorInfo = z.looseObject({
  name: z.string(),
  dtype: z.union([z.string(), z.number()]).nullish(),
  tensorShape: dims.nullish(),
  resourceId: z.union([z.string(), z.number()]).nullish(),
});
export type TensorInfo = z.infer<typeof tensorInfo>;
const signatureDef = z.object({
  inputs: z.record(z.string(), tensorInfo).nullish(),
  outputs: z.record(z.string(), tensorInfo).nullish(),
});
const initializerDef = z.looseObject({ node: z.array(z.looseObject({ name: z.string(), op: z.string() })) });

/** TensorFlow's types as dtypes of tfjs. */
const TFJS_DTYPES = new Map([
  ['DT_FLOAT', 'float32'],
  ['DT_HALF', 'float32'],
  ['DT_DOUBLE', 'float32'],
  ['DT_INT32', 'int32'],
  ['DT_INT64', 'int32'],
  ['DT_INT8', 'int32'],
  ['DT_UINT8', 'int32'],
  ['DT_BOOL', 'bool'],
]);

/** Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED. */
export function readSignature(def: GraphDef, manifest: Record<string, unknown>): Signature {
  const metadata = manifest.userDefinedMetadata as { signature?: unknown } | null | undefined;
  const parsed = signatureDef.safeParse(metadata?.signature ?? manifest.signature ?? {});
  if (!parsed.success) throw invalid(`the signature is damaged: ${z.prettifyError(parsed.error)}`);
  const inputs = Object.entries(parsed.data.inputs ?? {});
  const captured = inputs.filter(([, { resourceId }]) => resourceId != null);
  const fed = inputs.filter(([, { resourceId }]) => resourceId == null);
  const feeds = fed.length > 0 ? listedFeeds(def, fed) : placeholders(def);
  const feedOf = new Map(feeds.map(({ spec, node }) => [node, spec.name]));
  const listed = Object.entries(parsed.data.outputs ?? {});
  return {
    inputs: feeds.map(({ spec }) => spec),
    feeds: new Map(feeds.map(({ spec, node }) => [spec.name, node])),
    ...(listed.length > 0 ? listedOutputs(def, listed, feedOf) : sinks(def)),
    tables: readTables(manifest, Object.fromEntries(captured)),
  };
}

interface Feed {
  readonly spec: TensorSpec;
  readonly node: string;
}

function listedFeeds(def: GraphDef, inputs: readonly [string, TensorInfo][]): Feed[] {
  return inputs.flatMap(([key, { name: tensor, dtype, tensorShape }]) => {
    const node = def.nodes.get(nodeOf(tensor));
    // The converter drops a placeholder that nothing reads; tfjs then takes no such input.
    if (!node) return [];
    const isTaken = key !== node.name && (def.nodes.has(key) || key.includes(':'));
    const name = isTaken ? node.name : key;
    return [
      {
        spec: specOf(name, dtype ?? node.attr.get('dtype')?.type, tensorShape ?? node.attr.get('shape')?.shape),
        node: node.name,
      },
    ];
  });
}

function placeholders(def: GraphDef): Feed[] {
  return [...def.nodes.values()]
    .filter(isPlaceholder)
    .map(({ name, attr }) => ({ spec: specOf(name, attr.get('dtype')?.type, attr.get('shape')?.shape), node: name }));
}

export function isPlaceholder({ op }: GraphNode): boolean {
  return op.startsWith('Placeholder');
}

function specOf(name: string, type: string | number | null | undefined, shape: unknown): TensorSpec {
  const known = type == null ? 'DT_FLOAT' : typeName(type);
  const { data } = dims.safeParse(shape);
  const sizes = data?.unknownRank
    ? undefined
    : data?.dim?.map(({ size }) => (Number(size) === -1 ? null : Number(size)));
  return inputSpec(name, TFJS_DTYPES.get(known) ?? known, sizes);
}

function nodeOf(tensor: string): string {
  return tensor.split(':')[0]!;
}

type Outputs = Pick<Signature, 'outputs' | 'outputNames'>;

function listedOutputs(
  def: GraphDef,
  listed: readonly [string, TensorInfo][],
  feedOf: ReadonlyMap<string, string>,
): Outputs {
  const names = new Map<string, string>();
  for (const [key, { name }] of listed) {
    const node = nodeOf(name);
    const found = def.nodes.get(node);
    if (!found) throw invalid(`the model returns ${node} as ${key}, but the graph has no such node`);
    if (found.op === 'Const') throw unsupported(`the output ${key} is a constant`);
    const tensor = feedOf.get(node) ?? edgeName({ node, index: Number(name.split(':')[1] ?? 0) });
    const other = names.get(tensor);
    if (other !== undefined) throw unsupported(`the outputs ${other} and ${key} are the same tensor ${tensor}`);
    names.set(tensor, key);
  }
  return { outputs: [...names.keys()], outputNames: new Map([...names].filter(([tensor, key]) => tensor !== key)) };
}

/** As in tfjs, a model without listed outputs returns the tensors without readers. */
function sinks(def: GraphDef): Outputs {
  const read = new Set([...def.nodes.values()].flatMap(({ edges }) => edges.map(({ node }) => node)));
  const outputs = [...def.nodes.values()].filter(
    (node) => !read.has(node.name) && node.op !== 'Const' && node.op !== 'NoOp' && !isPlaceholder(node),
  );
  if (outputs.length === 0) throw invalid('the model returns nothing');
  return { outputs: outputs.map(({ name }) => name), outputNames: new Map() };
}

function readTables(manifest: Record<string, unknown>, captured: Readonly<Record<string, TensorInfo>>): Tables | null {
  if (manifest.modelInitializer == null) return null;
  const parsed = initializerDef.safeParse(manifest.modelInitializer);
  // tfjs ignores an initializer without nodes.
  if (!parsed.success) return null;
  return {
    initializer: manifest.modelInitializer,
    initializerSignature: manifest.initializerSignature,
    captured,
    weights: parsed.data.node.filter(({ op }) => op === 'Const').map(({ name }) => name),
  };
}

function invalid(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', message, { remedy: 'convert the model again' });
}

function unsupported(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', message, {
    remedy: 'convert the model with a signature that leaves it out',
  });
}
