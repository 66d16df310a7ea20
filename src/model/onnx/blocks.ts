/** Ops grouped into what a person sees: the embeddings, encoder layer by layer, each in its parts, the head. */
import type { Layer, ModelGraph, Op } from '../graph.js';
import { type Part, partsOf } from './block-parts.js';
import type { OnnxNode } from './node.js';
import { type Member, memberOf, type Scope, scopeOf, scopeOfWeights } from './scope.js';

interface Mark {
  /** First op of the block. */
  readonly from: number;
  readonly name: string;
  readonly type: string;
  /** Not one of many, as embeddings and heads are, whose weights are mostly looked up: not worth parting. */
  readonly single?: boolean;
}

interface Graph extends Pick<ModelGraph, 'ops' | 'weights' | 'sealed'> {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Modules of fewer ops than this, on average, are not worth a block of their own. */
const MIN_OPS = 2;

/** The blocks in their parts, one after the other, at least one. None begins where the graph must not be cut. */
export function layersOf(graph: Graph): Layer[] {
  const { ops, nodes } = graph;
  const live = liveCounts(graph);
  for (const scopes of [nodes.map(scopeOf), ops.map(({ weights }) => scopeOfWeights(weights))]) {
    const marks = scopedMarks(scopes, live);
    if (marks)
      return inParts(graph, live, marks, (block, part) => nameInside(block, ops[part.from]!, scopes[part.weighty]!));
  }
  return inParts(graph, live, narrowMarks(ops, live), (_, { from }) => ({
    name: ops[from]!.name,
    type: ops[from]!.type,
  }));
}

/** Each begins where it should or, where the graph must not be cut there, as soon after as it may. */
function legalMarks({ ops, sealed }: Graph, marks: readonly Mark[]): Mark[] {
  const legal: Mark[] = [];
  for (const [n, mark] of marks.entries()) {
    const next = marks[n + 1]?.from ?? ops.length;
    let from = legal.length === 0 ? 0 : mark.from;
    while (from > 0 && from < next && sealed.has(from)) from++;
    if (from < next) legal.push({ ...mark, from });
  }
  return legal;
}

type Names = Pick<Mark, 'name' | 'type'>;

/** `nameOf` names a part of a block that has several. */
function inParts(
  graph: Graph,
  live: readonly number[],
  blocks: readonly Mark[],
  nameOf: (block: Mark, part: Part) => Names,
): Layer[] {
  const whole = legalMarks(graph, blocks);
  const marks = whole.flatMap((block, n) => {
    const parts = block.single ? [] : partsOf({ ...graph, live }, block.from, whole[n + 1]?.from ?? graph.ops.length);
    return parts.length > 1 ? parts.map((part): Mark => ({ ...nameOf(block, part), from: part.from })) : [block];
  });
  return marks.map(({ from, name, type }, index) => {
    return { index, name, type, from, to: marks[index + 1]?.from ?? graph.ops.length };
  });
}

/** By the module one step inside the block; where the scope of the part ends before, by its first op. */
function nameInside(block: Mark, first: Op, scope: Scope): Names {
  const path = block.name.split('/');
  const module = path.every((step, n) => step === scope[n]) ? scope[path.length] : undefined;
  return { name: `${block.name}/${module ?? first.name}`, type: `${block.type} ${module ?? first.type}` };
}

/**
 * Blocks by the modules that ops say they belong to, or `null` where no modules repeat. A block begins with its first op, or before it
 * where ops of no module stand between two blocks: then where the fewest values live, and among equals as late as can be.
 */
function scopedMarks(scopes: readonly Scope[], live: readonly number[]): Mark[] | null {
  const members = scopes.map(memberOf);
  const families = repeatedFamilies(members);
  if (families.size === 0) return null;
  const parents = [...new Set([...families].map((family) => family.split('/').slice(0, -1).join('/')))].map((path) =>
    path.split('/'),
  );
  const seen = new Set<string>();
  const marks: Mark[] = [];
  let loose = 0;
  for (const [k, scope] of scopes.entries()) {
    const member = members[k];
    const inside = member && families.has(member.family) ? member : null;
    const name = inside ? inside.path : outside(scope, parents);
    if (name === '') {
      loose++;
      continue;
    }
    let from = k;
    for (let at = k; at >= k - loose; at--) if (live[at]! < live[from]!) from = at;
    loose = 0;
    if (seen.has(name)) continue;
    seen.add(name);
    marks.push({ from, name, type: (inside ? inside.family : name).replaceAll('/', ' '), single: !inside });
  }
  return marks;
}

function repeatedFamilies(members: readonly (Member | null)[]): Set<string> {
  const families = new Map<string, { ops: number; paths: Set<string> }>();
  for (const member of members) {
    if (!member) continue;
    const known = families.get(member.family) ?? { ops: 0, paths: new Set() };
    known.ops++;
    known.paths.add(member.path);
    families.set(member.family, known);
  }
  const repeated = [...families].filter(([, { ops, paths }]) => paths.size > 1 && ops >= MIN_OPS * paths.size);
  return new Set(repeated.map(([family]) => family));
}

/** The module beside the repeated ones that a scope lies in: one step past what it shares with the nearest of them. */
function outside(scope: Scope, parents: readonly Scope[]): string {
  const shared = parents.map((parent) => {
    const differs = scope.findIndex((part, n) => part !== parent[n]);
    return differs < 0 ? scope.length : differs;
  });
  return scope.slice(0, Math.max(0, ...shared) + 1).join('/');
}

/** Without modules: blocks end where few values live, each has weights, and what is narrowest last before the next weights parts them. */
function narrowMarks(ops: readonly Op[], live: readonly number[]): Mark[] {
  const narrow = live.slice(1, -1).reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY);
  const starts = [0];
  let lastNarrow = 0;
  let lastWeighty = -1;
  for (const { index, weights } of ops) {
    if (index > 0 && live[index] === narrow) lastNarrow = index;
    if (weights.length === 0) continue;
    // The narrow place must lie behind the weights before.
    if (lastNarrow > lastWeighty && lastWeighty >= 0) starts.push(lastNarrow);
    lastWeighty = index;
  }
  return starts.map((from) => ({ from, name: ops[from]!.name, type: ops[from]!.type }));
}

/** How many values live across each cut k = 0 … ops.length. */
function liveCounts({ ops, inputs, outputs }: Graph): number[] {
  const born = new Map(inputs.map((name) => [name, 0]));
  const lastUse = new Map<string, number>();
  for (const { index, inputs: reads, outputs: makes } of ops) {
    for (const name of reads) lastUse.set(name, index);
    for (const name of makes) born.set(name, index + 1);
  }
  for (const name of outputs) lastUse.set(name, ops.length);
  const steps = new Array<number>(ops.length + 2).fill(0);
  for (const [name, from] of born) {
    const to = lastUse.get(name);
    if (to === undefined || to < from) continue;
    steps[from]!++;
    steps[to + 1]!--;
  }
  let count = 0;
  return steps.slice(0, -1).map((step) => {
    count += step;
    return count;
  });
}
