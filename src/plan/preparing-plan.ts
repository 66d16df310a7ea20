/** How rows are prepared ahead of the stages (tokenised, decoded), as a plan has it: a stage with threads of its own, which sets a bound like any other. Pure. */

export interface PreparingPlan {
  /** For a person: `tokenise texts`. */
  readonly what: string;
  readonly threads: number;
  /** Measured seconds of one thread for a row. */
  readonly secondsPerRow: number;
  /** Cores that the stages leave to it; 0: its threads share the cores of the stages, which come first. */
  readonly cores: number;
}

/** Rows a second that the threads prepare at most. */
export function preparingBound({ threads, secondsPerRow }: PreparingPlan): number {
  return secondsPerRow > 0 ? threads / secondsPerRow : Number.POSITIVE_INFINITY;
}

/** What the stages do when they have their cores to themselves. */
export interface StagesAlone {
  readonly rowsPerSecond: number;
  /** Cores that they keep busy; cards keep none. */
  readonly cores: number;
}

export interface Division {
  readonly threads: number;
  /** Cores that the stages should leave; 0 to share. */
  readonly reserved: number;
  /** Expected of both together. */
  readonly rowsPerSecond: number;
}

/** Threads are not to be what the stages wait for if shared cores let them do more. */
const ROOM = 1.25;
/** Cores of its own must keep at least this share of the pace with shared cores, which is an ideal. */
const KEPT = 0.95;

/** Rows a second of both on shared cores: each row takes its core-seconds of the stages and of its preparation. */
export function sharedPace(secondsPerRow: number, { rowsPerSecond, cores: busy }: StagesAlone, cores: number): number {
  if (rowsPerSecond <= 0) return 0;
  return Math.min(rowsPerSecond, cores / (secondsPerRow + busy / rowsPerSecond));
}

/** Threads for the preparation, and whether they get cores of their own (`mayReserve`: the stages' cores are open). */
export function divideCores(secondsPerRow: number, stages: StagesAlone, cores: number, mayReserve: boolean): Division {
  const shared = sharedPace(secondsPerRow, stages, cores);
  const own = Math.round(secondsPerRow * shared);
  if (mayReserve && own >= 1 && own < cores && stages.cores > cores - own) {
    const left = stages.rowsPerSecond * ((cores - own) / stages.cores);
    const pace = Math.min(left, own / secondsPerRow);
    if (pace >= KEPT * shared) return { threads: own, reserved: own, rowsPerSecond: pace };
  }
  const threads = Math.min(cores, Math.max(1, Math.ceil(secondsPerRow * shared * ROOM)));
  return { threads, reserved: 0, rowsPerSecond: Math.min(shared, threads / secondsPerRow) };
}
