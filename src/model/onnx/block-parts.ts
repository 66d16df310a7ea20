/** The parts of a block: cuts inside it that cost little more than a cut at its ends. */
import { runningSums } from '../../sums.js';
import { type ModelGraph, weightBytes } from '../graph.js';

export interface Part {
  /** First op. */
  readonly from: number;
  /** Its first op with weights that are not small. */
  readonly weighty: number;
}

export interface PartedGraph extends Pick<ModelGraph, 'ops' | 'weights' | 'forbiddenCuts'> {
  /** How many values live across each cut. */
  readonly live: readonly number[];
}

/** A part holds this share of its block's weights at least. */
const LEAST_SHARE = 1 / 8;
/** An op with a smaller share, such as a norm, only goes with others. */
const WEIGHTY_SHARE = 1 / 32;
/** So many more values may live across a cut inside a block than at its ends: those of a residual connection. */
const MORE_VALUES = 1;

/**
 * Ops [from, to) in parts that have weights each, at least one: cut where the fewest values live, as late as possible before the next weights.
 * A layer of a transformer is its attention and its feed-forward network; a bottleneck of a ResNet is its convolutions, each
 * with its activation.
 */
export function partsOf(graph: PartedGraph, from: number, to: number): Part[] {
  const { forbiddenCuts, live } = graph;
  const held = runningSums(range(from, to).map((k) => weightBytes(graph, k, k + 1)));
  const all = held.at(-1)!;
  /** Of the weights the share in ops [a, b). */
  const share = (a: number, b: number) => (held[b - from]! - held[a - from]!) / all;
  const weighty = range(from, to).filter((k) => share(k, k + 1) >= WEIGHTY_SHARE);
  const [first = from] = weighty;
  const cuts = range(from + 1, to).filter(
    (k) => !forbiddenCuts.has(k) && share(from, k) >= LEAST_SHARE && share(k, to) >= LEAST_SHARE,
  );
  const fewest = cuts.reduce((least, k) => Math.min(least, live[k]!), Number.POSITIVE_INFINITY);
  const parts: Part[] = [{ from, weighty: first }];
  if (fewest > Math.max(live[from]!, live[to]!) + MORE_VALUES) return parts;
  for (const [n, k] of weighty.entries()) {
    const cut = cuts.findLast((at) => at > (weighty[n - 1] ?? k) && at <= k && live[at] === fewest);
    if (cut !== undefined && share(parts.at(-1)!.from, cut) >= LEAST_SHARE) parts.push({ from: cut, weighty: k });
  }
  return parts;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);
}
