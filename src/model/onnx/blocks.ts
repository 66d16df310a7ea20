/** Groups ops into layers as a person sees them: the embeddings, each encoder layer in its parts, the head. */
import { lifetimes, sumAcross } from '../../liveness.js';
import type { Layer, ModelGraph, Op } from '../graph.js';
import { type Part, partsOf } from './block-parts.js';
import type { OnnxNode } from './node.js';
import { type Member, memberOf, type Scope, scopeOf, scopeOfWeights } from './scope.js';

interface Mark {
  /** First op of the block. */
  readonly from: number;
  readonly name: string;
  readonly type: string;
  /** Whether it does not repeat, as embeddings and heads; its weights are mostly looked up, so it is not divided. */
  readonly single?: boolean;
}

interface Graph extends Pick<ModelGraph, 'ops' | 'weights' | 'forbiddenCuts'> {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Modules of fewer ops than this, on average, are not worth a block of their own. */
const MIN_OPS = 2;

/** The parts of all blocks in order, at least one. None begins at a forbidden cut. */
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

/** Moves each start that is a forbidden cut to the next legal one. */
function legalMarks({ ops, forbiddenCuts }: Graph, marks: readonly Mark[]): Mark[] {
  const legal: Mark[] = [];
  for (const [n, mark] of marks.entries()) {
    const next = marks[n + 1]?.from ?? ops.length;
    let from = legal.length === 0 ? 0 : mark.from;
    while (from > 0 && from < next && forbiddenCuts.has(from)) from++;
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

/** By the module one level inside the block; if the part's scope is not that deep, by its first op. */
function nameInside(block: Mark, first: Op, scope: Scope): Names {
  const path = block.name.split('/');
  const module = path.every((step, n) => step === scope[n]) ? scope[path.length] : undefined;
  return { name: `${block.name}/${module ?? first.name}`, type: `${block.type} ${module ?? first.type}` };
}

/**
 * Blocks by the modules of their ops, or `null` if no modules repeat. A block begins with its first op, or before it
 * if ops of no module are between two blocks: then where the fewest values live, and among equals as late as possible.
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

/** The module of a scope outside the repeated ones: one level below their nearest common ancestor. */
function outside(scope: Scope, parents: readonly Scope[]): string {
  const shared = parents.map((parent) => {
    const differs = scope.findIndex((part, n) => part !== parent[n]);
    return differs < 0 ? scope.length : differs;
  });
  return scope.slice(0, Math.max(0, ...shared) + 1).join('/');
}

/** Without modules: blocks end where few values live, and each has weights. The cut is the last of the narrowest before the next weights. */
function narrowMarks(ops: readonly Op[], live: readonly number[]): Mark[] {
  const narrow = live.slice(1, -1).reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY);
  const starts = [0];
  let lastNarrow = 0;
  let lastWeighty = -1;
  for (const { index, weights } of ops) {
    if (index > 0 && live[index] === narrow) lastNarrow = index;
    if (weights.length === 0) continue;
    // The narrow cut must be after the weights before it.
    if (lastNarrow > lastWeighty && lastWeighty >= 0) starts.push(lastNarrow);
    lastWeighty = index;
  }
  return starts.map((from) => ({ from, name: ops[from]!.name, type: ops[from]!.type }));
}

/** How many values live across each cut k = 0 … ops.length. */
function liveCounts({ ops, inputs, outputs }: Graph): number[] {
  const lives = lifetimes(ops, { fed: inputs, kept: outputs });
  return sumAcross(
    [...lives.values()].map((life) => [life, 1]),
    ops.length,
  );
}
