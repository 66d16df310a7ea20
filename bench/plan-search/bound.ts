/**
 * The bound: a pipeline is no faster than its slowest stage computing by itself, so a cut with a stage that alone is slower than the whole planned
 * pipeline cannot be the best. Nor can a cut that gives that stage more layers still.
 */

/** Why a cut need not be measured. */
export interface Excluded {
  readonly stage: number;
  /** Seconds of a micro-batch in that stage alone, with these layers or with fewer. */
  readonly alone: number;
  /** Seconds between two micro-batches of the planned pipeline, measured right before. */
  readonly planned: number;
}

export interface Search {
  /** First layers of the second stage, ascending. */
  readonly cuts: readonly number[];
  readonly planned: number;
  /** The share by which a stage may be slower than the planned pipeline, because a machine's speed changes between two measurements. */
  readonly margin: number;
  /** Seconds between two micro-batches of the planned pipeline, measured right before. */
  readonly interval: number;
  /** Seconds of a micro-batch in a stage of that cut, with nothing else at work. */
  alone(stage: number, cut: number): Promise<number>;
}

/** By cut why it need not be measured; `null` if it must be. */
export type Judged = Record<number, Excluded | null>;

/**
 * Walks from the planned cut to both sides; with each step one stage grows, until it is too slow. Adds to `judged` while `proceed` returns
 * true, and returns whether all cuts are judged.
 */
export async function judgeCuts(search: Search, judged: Judged, proceed: () => boolean): Promise<boolean> {
  const { cuts, planned } = search;
  const sides = [cuts.filter((cut) => cut > planned), cuts.filter((cut) => cut < planned).toReversed()];
  for (const [stage, side] of sides.entries()) {
    let why: Excluded | null = null;
    for (const cut of side) {
      if (why === null && judged[cut] === undefined && !proceed()) return false;
      why ??= judged[cut] === undefined ? await tooSlow(search, stage, cut) : judged[cut];
      judged[cut] = why;
    }
  }
  return true;
}

async function tooSlow({ margin, interval, alone }: Search, stage: number, cut: number): Promise<Excluded | null> {
  const seconds = await alone(stage, cut);
  return seconds > interval * (1 + margin) ? { stage, alone: seconds, planned: interval } : null;
}
