/** Forbidden cuts, from the tensors that must stay in one slice with all their readers. */
import { cutsUnder, lifetimes } from '../liveness.js';
import type { Op } from './graph.js';

/**
 * Positions k across which a tensor with `mustStay` lives: made before op k, and read at or after it, or among `kept`, which live to the end.
 */
export function cutsAcross(
  ops: readonly Op[],
  mustStay: (name: string) => boolean,
  kept: readonly string[] = [],
): Set<number> {
  const lives = [...lifetimes(ops, { kept })].filter(([name]) => mustStay(name));
  return cutsUnder(
    lives.map(([, life]) => life),
    ops.length,
  );
}
