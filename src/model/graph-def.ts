/** The GraphDef of a GraphModel as JSON: its nodes and functions, checked, with their edges parsed. */
import { z } from 'zod';
import { TandemError } from '../errors.js';

/** One edge into a node: output `index` of `node`, or for a control edge (`^node`) only the order. */
export interface Edge {
  readonly node: string;
  readonly index: number;
  readonly isControl: boolean;
}

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly edges: readonly Edge[];
  /** As in the file: a tagged value for each name. */
  readonly attr: ReadonlyMap<string, Attr>;
  /** The node as in the file. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** The parts of an AttrValue that are used here; types may be names or numbers. */
type Attr = z.infer<typeof attrValue>;

export interface GraphDef {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly functions: ReadonlyMap<string, GraphFunction>;
  readonly versions: unknown;
}

/** The body of an If or While. */
export interface GraphFunction {
  /** Constants in the body; their values are weights of the model. */
  readonly constants: readonly string[];
  /** Functions called by the body. */
  readonly calls: readonly string[];
  readonly raw: unknown;
}

const dtype = z.union([z.string(), z.number()]);
const func = z.looseObject({ name: z.string() });
const attrValue = z.looseObject({
  type: dtype.optional(),
  func: func.optional(),
  list: z.looseObject({ type: z.array(dtype).optional(), func: z.array(func).optional() }).optional(),
});
const node = z.looseObject({
  // tfjs keeps nodes in plain objects, which already have these names.
  name: z
    .string()
    .regex(/^[^:^]+$/)
    .refine((name) => !(name in {}), { error: 'not a name that tfjs can keep' }),
  op: z.string().min(1),
  input: z.array(z.string()).nullish(),
  attr: z.record(z.string(), attrValue).nullish(),
});
const functionDef = z.looseObject({
  signature: z.looseObject({ name: z.string() }),
  nodeDef: z.array(node).nullish(),
});
const graphDef = z.object({
  node: z.array(node).min(1),
  library: z.object({ function: z.array(functionDef).nullish() }).nullish(),
  versions: z.unknown().optional(),
});

/** Numbers of DataType in TensorFlow's protocol, by name; those that tfjs or the forbidden cuts need. */
const TYPE_NAMES = new Map<number, string>([
  [1, 'DT_FLOAT'],
  [2, 'DT_DOUBLE'],
  [3, 'DT_INT32'],
  [4, 'DT_UINT8'],
  [6, 'DT_INT8'],
  [7, 'DT_STRING'],
  [8, 'DT_COMPLEX64'],
  [9, 'DT_INT64'],
  [10, 'DT_BOOL'],
  [18, 'DT_COMPLEX128'],
  [19, 'DT_HALF'],
  [20, 'DT_RESOURCE'],
  [21, 'DT_VARIANT'],
]);

export function typeName(type: string | number): string {
  return typeof type === 'number' ? (TYPE_NAMES.get(type) ?? `type ${type}`) : type;
}

/** Throws TANDEM_MODEL_INVALID. */
export function readGraphDef(topology: unknown): GraphDef {
  const parsed = graphDef.safeParse(topology);
  if (!parsed.success) throw invalid(`the graph is damaged: ${z.prettifyError(parsed.error)}`);
  const { node: nodes, library, versions } = parsed.data;
  const byName = new Map<string, GraphNode>();
  for (const raw of nodes) {
    if (byName.has(raw.name)) throw invalid(`the graph has two nodes named ${raw.name}`);
    const edges = (raw.input ?? []).map((input) => edgeOf(input, raw.name));
    byName.set(raw.name, { name: raw.name, op: raw.op, edges, attr: new Map(Object.entries(raw.attr ?? {})), raw });
  }
  for (const { name, edges } of byName.values()) {
    for (const edge of edges) {
      if (!byName.has(edge.node)) throw invalid(`the node ${name} reads ${edge.node}, which the graph does not have`);
    }
  }
  const functions = new Map<string, GraphFunction>();
  for (const raw of library?.function ?? []) {
    const body = raw.nodeDef ?? [];
    functions.set(raw.signature.name, {
      constants: body.filter(({ op }) => op === 'Const').map(({ name }) => name),
      calls: body.flatMap(({ attr }) => calledBy(Object.values(attr ?? {}))),
      raw,
    });
  }
  return { nodes: byName, functions, versions };
}

function edgeOf(input: string, reader: string): Edge {
  const [, control, node, index] = /^(\^?)([^:^]+)(?::(\d{1,6}))?$/.exec(input) ?? [];
  if (node === undefined)
    throw invalid(`the node ${reader} has the input ${JSON.stringify(input)}, which is not a tensor's name`);
  return { node, index: Number(index ?? 0), isControl: control === '^' };
}

/** Names of the functions in attributes. */
export function calledBy(attrs: Iterable<Attr>): string[] {
  return [...attrs]
    .flatMap((attr) => [attr.func, ...(attr.list?.func ?? [])])
    .flatMap((called) => (called ? [called.name] : []));
}

/** `roots` and every function that they reach. Throws TANDEM_MODEL_INVALID for one that the library lacks. */
export function reachableFunctions({ functions }: GraphDef, roots: readonly string[]): Set<string> {
  const reached = new Set(roots);
  for (const name of reached) {
    const found = functions.get(name);
    if (!found) throw invalid(`the graph calls the function ${name}, which its library does not have`);
    for (const called of found.calls) reached.add(called);
  }
  return reached;
}

/** `node` for the first output of a node, else `node:index`: as GraphDefs write it. */
export function edgeName({ node, index }: { readonly node: string; readonly index: number }): string {
  return index === 0 ? node : `${node}:${index}`;
}

/** The nodes of `wanted` in the order of the file if that is topological, else each right after its inputs. Edges out of NextIteration go back and are ignored. */
export function topologicalOrder({ nodes }: GraphDef, wanted: ReadonlySet<string>): GraphNode[] {
  const order: GraphNode[] = [];
  const state = new Map<string, 'open' | 'done'>();
  for (const root of nodes.values()) {
    const stack = [root];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      if (!wanted.has(top.name) || state.get(top.name) === 'done') {
        stack.pop();
        continue;
      }
      const waiting = top.edges
        .map((edge) => nodes.get(edge.node)!)
        .filter(({ name, op }) => wanted.has(name) && op !== 'NextIteration' && state.get(name) !== 'done');
      if (waiting.length === 0) {
        state.set(top.name, 'done');
        order.push(top);
        stack.pop();
        continue;
      }
      if (state.get(top.name) === 'open') throw invalid(`the graph runs in a circle through the node ${top.name}`);
      state.set(top.name, 'open');
      stack.push(...waiting.reverse());
    }
  }
  return order;
}

function invalid(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', message, { remedy: 'convert the model again' });
}
