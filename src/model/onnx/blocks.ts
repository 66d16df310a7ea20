/** Ops grouped into the blocks that a person sees: the embeddings, encoder layer by layer, the head. */
import type { Layer, Op } from '../graph.js';
import type { OnnxNode } from './node.js';
import { type Member, memberOf, type Scope, scopeOf, scopeOfWeights } from './scope.js';

interface Mark {
  /** First op of the block. */
  readonly from: number;
  readonly name: string;
  readonly type: string;
}

interface Graph {
  readonly ops: readonly Op[];
  readonly nodes: readonly OnnxNode[];
  readonly sealed: ReadonlySet<number>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Modules of fewer ops than this, on average, are not worth a block of their own. */
const MIN_OPS = 2;

/** The blocks, one after the other, at least one. No block begins where the graph must not be cut. */
export function layersOf(graph: Graph): Layer[] {
  const live = liveCounts(graph);
  const marks =
    scopedMarks(graph.nodes.map(scopeOf), live) ??
    scopedMarks(
      graph.ops.map(({ weights }) => scopeOfWeights(weights)),
      live,
    ) ??
    narrowMarks(graph.ops, live);
  const legal: Mark[] = [];
  for (const [n, mark] of marks.entries()) {
    const next = marks[n + 1]?.from ?? graph.ops.length;
    let from = legal.length === 0 ? 0 : mark.from;
    while (from > 0 && from < next && graph.sealed.has(from)) from++;
    if (from < next) legal.push({ ...mark, from });
  }
  return legal.map(({ from, name, type }, index) => ({
    index,
    name,
    type,
    from,
    to: legal[index + 1]?.from ?? graph.ops.length,
  }));
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
    marks.push({ from, name, type: (inside ? inside.family : name).replaceAll('/', ' ') });
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
