/** Policies: the order in which a worker makes the visits that it may make. Used by the generator and by a running pipeline. */

/** A visit before it is made. */
export interface Planned {
  readonly microBatch: number;
  readonly round: number;
  /** Index in the route. */
  readonly step: number;
}

export interface Policy {
  /** The smallest comes first. */
  readonly rankOf: (visit: Planned) => number;
  /** Whether a worker waits for the first of its remaining visits even if a later one is ready, so that it loads no pass twice. */
  readonly waits: boolean;
}

/** The earliest micro-batch first. */
export const FORWARD: Policy = { rankOf: ({ microBatch }) => microBatch, waits: false };

/** Rotation: a block of `block` micro-batches goes through one pass before the next pass, so each pass is loaded once for each block. */
export function inBlocks(block: number, steps: number, rounds = 1): Policy {
  const rankOf = ({ microBatch, round, step }: Planned) =>
    ((Math.floor(microBatch / block) * rounds + round) * steps + step) * block + (microBatch % block);
  return { rankOf, waits: true };
}

/** Decode loops: `together` micro-batches make their rounds interleaved until all of them have ended, then the next ones begin. */
export function decodeLoops(together: number, rounds: number): Policy {
  const rankOf = ({ microBatch, round }: Planned) =>
    (Math.floor(microBatch / together) * rounds + round) * together + (microBatch % together);
  return { rankOf, waits: false };
}
