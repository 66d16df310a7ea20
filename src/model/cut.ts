/** A cut: the boundary before op k of the fixed order, and the tensors that live across it. */
import { TandemError } from '../errors.js';
import { byteCount } from '../tensor.js';
import type { ModelGraph, TensorFacts } from './graph.js';

/** First and last use of each tensor. `born` -1 is a graph input; `lastUse` ops.length is a graph output. */
interface Life {
  born: number;
  lastUse: number;
}

function livesOf(graph: ModelGraph): Map<string, Life> {
  const lives = new Map<string, Life>();
  for (const { name } of graph.inputs) lives.set(name, { born: -1, lastUse: -1 });
  for (const op of graph.ops) {
    for (const name of op.outputs) lives.set(name, { born: op.index, lastUse: op.index });
    for (const name of op.inputs) {
      const life = lives.get(name);
      if (life) life.lastUse = Math.max(life.lastUse, op.index);
    }
  }
  for (const name of graph.outputs) {
    const life = lives.get(name);
    if (life) life.lastUse = graph.ops.length;
  }
  return lives;
}

/** Names of the tensors that live across cut `k`: made or fed before op k, used at or after it (or returned). In order of birth. */
export function liveTensors(graph: ModelGraph, k: number): string[] {
  return [...livesOf(graph)].filter(([, life]) => life.born < k && life.lastUse >= k).map(([name]) => name);
}

/** Whether ops may be parted before op `k`. */
export function isLegalCut(graph: ModelGraph, k: number): boolean {
  return Number.isInteger(k) && k > 0 && k < graph.ops.length && !graph.sealed.has(k);
}

/** All legal cuts, ascending. */
export function legalCuts(graph: ModelGraph): number[] {
  return Array.from({ length: graph.ops.length }, (_, k) => k).filter((k) => isLegalCut(graph, k));
}

/** Throws TANDEM_CUT_ILLEGAL unless `cuts` are legal and ascending. */
export function checkCuts(graph: ModelGraph, cuts: readonly number[]): void {
  for (const [n, k] of cuts.entries()) {
    if (!isLegalCut(graph, k) || (n > 0 && k <= cuts[n - 1]!)) {
      throw new TandemError(
        'TANDEM_CUT_ILLEGAL',
        `the model cannot be cut before op ${k} (${graph.ops[k]?.name ?? 'none'})`,
        {
          remedy: 'list the legal cuts with: tandem inspect MODEL',
        },
      );
    }
  }
}

/**
 * Bytes that live across each cut k = 0 … ops.length for micro-batches of `rows` rows, `null` where a size is not known.
 * Index k of the result is cut k.
 */
export function liveBytes(graph: ModelGraph, facts: TensorFacts, rows: number): (number | null)[] {
  const lives = livesOf(graph);
  const deltas = new Array<number>(graph.ops.length + 2).fill(0);
  const unknown = new Array<number>(graph.ops.length + 2).fill(0);
  for (const [name, { born, lastUse }] of lives) {
    const fact = facts.get(name);
    const bytes = fact && sizeFor(fact, rows);
    const tally = bytes == null ? unknown : deltas;
    tally[born + 1] = tally[born + 1]! + (bytes ?? 1);
    tally[lastUse + 1] = tally[lastUse + 1]! - (bytes ?? 1);
  }
  let live = 0;
  let holes = 0;
  return Array.from({ length: graph.ops.length + 1 }, (_, k) => {
    live += deltas[k]!;
    holes += unknown[k]!;
    return holes > 0 ? null : live;
  });
}

function sizeFor(
  fact: { dtype: Parameters<typeof byteCount>[0]; shape: readonly (number | null)[] },
  rows: number,
): number | null {
  const [first, ...rest] = fact.shape;
  if (rest.some((dim) => dim === null)) return null;
  const shape = first === undefined ? [] : [first ?? rows, ...(rest as number[])];
  return byteCount(fact.dtype, shape);
}
