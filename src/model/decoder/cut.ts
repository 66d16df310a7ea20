/** Where a decoder may be cut: each layer keeps its own state, and what only depends on masks and positions is computed on both sides. */
import { TandemError } from '../../errors.js';
import { lifetimes, livesAcross } from '../../liveness.js';
import { type ModelGraph, weightBytes } from '../graph.js';
import type { Slice } from '../slice.js';
import type { DecoderFacts, StatePair } from './facts.js';

/** A slice of a decoder, as plain data. `inputs` come from any stage before, `outputs` go to any after it; state and what every stage is given are not among them. */
export interface DecoderSlice extends Slice {
  /** Ops before `from` that are computed here too, ascending: they read the mask, the positions and the number of ids only. */
  readonly shared: readonly number[];
  /** Of ids, mask and positions, those that it reads. */
  readonly given: readonly string[];
  readonly pairs: readonly StatePair[];
  /** Bytes of its weights on disk. */
  readonly weightBytes: number;
  /** Whether its one output is the logits. */
  readonly isLast: boolean;
}

/** Ops that become one: cuts k with from < k <= to are not legal. */
export type Closed = readonly { readonly from: number; readonly to: number }[];

/** Cuts that leave every state pair in one stage, and are not forbidden; with the number of tensors that cross each. */
export function decoderCuts(
  graph: ModelGraph,
  facts: DecoderFacts,
  closed: Closed = [],
): { readonly at: number; readonly crossing: number }[] {
  const shared = sharedTensors(graph, facts);
  const given = new Set(graph.inputs.map(({ name }) => name));
  const states = new Set(facts.pairs.map(({ present }) => present));
  const lives = [...lifetimes(graph.ops, { fed: [...given], kept: graph.outputs })].filter(
    ([name]) => !given.has(name) && !states.has(name) && !shared.has(name),
  );
  const apart = new Set(facts.pairs.flatMap((pair) => cutsThrough(graph, pair)));
  return graph.ops.flatMap((_, at) => {
    if (at === 0 || graph.forbiddenCuts.has(at) || apart.has(at)) return [];
    if (closed.some(({ from, to }) => from < at && at <= to)) return [];
    const crossing = lives.filter(([, life]) => livesAcross(life, at)).length;
    return crossing > 0 ? [{ at, crossing }] : [];
  });
}

/** Cuts between the ops that read a past, make its present, or read that. */
function cutsThrough({ ops }: ModelGraph, { past, present }: StatePair): number[] {
  const touching = ops.flatMap(({ inputs, outputs }, k) =>
    inputs.includes(past) || inputs.includes(present) || outputs.includes(present) ? [k] : [],
  );
  const [first = 0, last = 0] = [touching.at(0), touching.at(-1)];
  return Array.from({ length: last - first }, (_, n) => first + n + 1);
}

/** Tensors made from the mask, the positions and the number of ids alone, with weights or without. */
function sharedTensors({ ops }: ModelGraph, { ids, mask, positions }: DecoderFacts): Set<string> {
  const from = new Set([mask, positions].filter((name) => name !== null));
  const made = new Set<string>();
  for (const { type, inputs, outputs } of ops) {
    const isLength = type === 'Shape' && inputs[0] === ids;
    if (inputs.length === 0 || !(isLength || inputs.every((name) => from.has(name)))) continue;
    for (const name of outputs) {
      from.add(name);
      made.add(name);
    }
  }
  return made;
}

/**
 * The cuts for stages of these shares of the work, at places where the least crosses. Work is weights, since a decode step reads each once.
 * Throws TANDEM_PLAN_IMPOSSIBLE.
 */
export function chooseCuts(
  graph: ModelGraph,
  facts: DecoderFacts,
  shares: readonly number[],
  closed: Closed = [],
): number[] {
  const all = decoderCuts(graph, facts, closed);
  const least = Math.min(...all.map(({ crossing }) => crossing));
  const places = all.filter(({ crossing }) => crossing === least).map(({ at }) => at);
  if (places.length < shares.length - 1) {
    throw new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `the model can be cut in ${places.length} places, too few for ${shares.length} stages`,
      { remedy: `use ${places.length + 1} stages at most` },
    );
  }
  const total = workBefore(graph, graph.ops.length);
  const before = places.map((at) => workBefore(graph, at));
  const sum = shares.reduce((a, b) => a + b, 0);
  const cuts: number[] = [];
  let share = 0;
  let from = 0;
  for (let n = 0; n < shares.length - 1; n++) {
    share += shares[n]! / sum;
    const to = places.length - (shares.length - 2 - n);
    let best = from;
    for (let k = from; k < to; k++) {
      if (Math.abs(before[k]! - share * total) < Math.abs(before[best]! - share * total)) best = k;
    }
    cuts.push(places[best]!);
    from = best + 1;
  }
  return cuts;
}

/** Bytes of the weights that ops before `at` read as a whole: of a table of embeddings a step reads a few rows. */
function workBefore(graph: ModelGraph, at: number): number {
  return weightBytes(
    { ...graph, ops: graph.ops.map((op) => (op.type === 'Gather' ? { ...op, weights: [] } : op)) },
    0,
    at,
  );
}

/** The slices between these cuts. Throws TANDEM_CUT_ILLEGAL, naming the state that a cut would part. */
export function decoderSlices(
  graph: ModelGraph,
  facts: DecoderFacts,
  cuts: readonly number[],
  closed: Closed = [],
): DecoderSlice[] {
  const legal = new Set(decoderCuts(graph, facts, closed).map(({ at }) => at));
  for (const [n, at] of cuts.entries()) {
    if (legal.has(at) && (n === 0 || at > cuts[n - 1]!)) continue;
    const parted = facts.pairs.find((pair) => cutsThrough(graph, pair).includes(at));
    const why = parted ? `: it would part the state "${parted.past}" from "${parted.present}"` : '';
    throw new TandemError('TANDEM_CUT_ILLEGAL', `the decoder cannot be cut before op ${at}${why}`, {
      remedy: 'leave the cut out, and it is chosen',
    });
  }
  const bounds = [0, ...cuts, graph.ops.length];
  return bounds.slice(1).map((to, n) => sliceBetween(graph, facts, bounds[n]!, to));
}

function sliceBetween(graph: ModelGraph, facts: DecoderFacts, from: number, to: number): DecoderSlice {
  const own = graph.ops.slice(from, to);
  const made = new Map(graph.ops.flatMap(({ outputs }, k) => outputs.map((name) => [name, k] as const)));
  const sharedNames = sharedTensors(graph, facts);
  const shared = new Set<number>();
  // The set of names grows during the iteration.
  const read = new Set(own.flatMap(({ inputs }) => inputs));
  for (const name of read) {
    const maker = made.get(name);
    if (maker === undefined || maker >= from || !sharedNames.has(name)) continue;
    shared.add(maker);
    for (const input of graph.ops[maker]!.inputs) read.add(input);
  }
  const isState = new Set(facts.pairs.flatMap(({ past, present }) => [past, present]));
  const readLater = new Set(graph.ops.slice(to).flatMap(({ inputs }) => inputs));
  const inputs = [...read].filter((name) => {
    const maker = made.get(name);
    return maker !== undefined && maker < from && !sharedNames.has(name);
  });
  const carried = own
    .flatMap(({ outputs }) => outputs)
    .filter((name) => readLater.has(name) && !sharedNames.has(name) && !isState.has(name));
  const outputs = to === graph.ops.length ? [facts.logits] : carried;
  const given = [facts.ids, facts.mask, facts.positions].filter(
    (name): name is string => name !== null && read.has(name),
  );
  const pairs = facts.pairs.filter(({ past }) => read.has(past));
  const base = { format: graph.format, path: graph.path, ...(graph.fed ? { fed: graph.fed } : {}), from, to };
  return {
    ...base,
    inputs,
    outputs,
    shared: [...shared].sort((a, b) => a - b),
    given,
    pairs,
    weightBytes: weightBytes(graph, from, to),
    isLast: to === graph.ops.length,
  };
}
