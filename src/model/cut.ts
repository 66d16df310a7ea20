/** A cut: the boundary before op k of the fixed order, and the tensors that live across it. */
import { TandemError } from '../errors.js';
import { type Lifetime, lifetimes, livesAcross, sumAcross } from '../liveness.js';
import { byteCount } from '../tensor.js';
import type { ModelGraph, TensorFacts } from './graph.js';
import { rowsAxisIn } from './move-rows.js';

/** Graph inputs live from the start, the model's outputs to the end. */
function lifetimesOf({ ops, inputs, outputs }: ModelGraph): Map<string, Lifetime> {
  return lifetimes(ops, { fed: inputs.map(({ name }) => name), kept: outputs });
}

/** Names of the tensors that live across cut `k`: made or fed before op k, used at or after it (or returned). In the order in which they are made. */
export function liveTensors(graph: ModelGraph, k: number): string[] {
  return [...lifetimesOf(graph)].filter(([, life]) => livesAcross(life, k)).map(([name]) => name);
}

/** Whether a cut before op `k` is legal. */
export function isLegalCut(graph: ModelGraph, k: number): boolean {
  return Number.isInteger(k) && k > 0 && k < graph.ops.length && !graph.forbiddenCuts.has(k);
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
 * Bytes that live across each cut k = 0 … ops.length for micro-batches of `rows` rows, `null` if a size is not known.
 * Index k of the result is cut k.
 */
export function liveBytes(graph: ModelGraph, facts: TensorFacts, rows: number): (number | null)[] {
  const sized = [...lifetimesOf(graph)].map(([name, life]) => {
    const fact = facts.get(name);
    return { life, bytes: (fact && sizeFor(fact, rows)) ?? null };
  });
  const steps = graph.ops.length;
  const unknown = sumAcross(
    sized.map(({ life, bytes }) => [life, bytes === null ? 1 : 0]),
    steps,
  );
  const known = sumAcross(
    sized.map(({ life, bytes }) => [life, bytes ?? 0]),
    steps,
  );
  return known.map((bytes, k) => (unknown[k]! > 0 ? null : bytes));
}

function sizeFor(
  fact: { dtype: Parameters<typeof byteCount>[0]; shape: readonly (number | null)[] },
  rows: number,
): number | null {
  if (fact.shape.includes(null) && rowsAxisIn(fact.shape) === null) return null;
  return byteCount(
    fact.dtype,
    fact.shape.map((dim) => dim ?? rows),
  );
}
