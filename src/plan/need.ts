/** Need: how much memory would be enough for a form, and which budget keeps it from fitting. */
import { leastRoom, partition } from './partition.js';
import { type Staffed, type StaffedProblem, sharesMemory, withoutBudgets } from './staffing.js';

export interface Need {
  /** The stage whose budget is the tightest; `null` where it is that of each stage, or of all together. */
  readonly stage: number | null;
  /** Infinite where there are too few places to cut. */
  readonly bytes: number;
  /** What may be used; `null`: as much as is free, by all stages together. */
  readonly given: number | null;
}

/**
 * Of the budgets the one that lacks the smallest share while the others hold. Where that is none, or all are the same, what would be
 * enough for each stage.
 */
export function needOf(problem: StaffedProblem): Need {
  const budgets = problem.stages.map(([way]) => (sharesMemory(way!.way) ? null : way!.budget));
  const share = ({ bytes, given }: Need) => bytes / (given ?? problem.room);
  const alone = budgets.flatMap((given, stage) =>
    given === null ? [] : [{ stage, given, bytes: leastOf(problem, stage) }],
  );
  const together = budgets.includes(null) ? [{ stage: null, given: null, bytes: leastRoom(problem) }] : [];
  if (new Set(budgets).size > 1 || together.length > 0) {
    const tightest = [...alone, ...together].reduce<Need>((a, b) => (share(b) < share(a) ? b : a), NOTHING);
    if (Number.isFinite(tightest.bytes)) return tightest;
  }
  const unlimited = withoutBudgets(problem);
  const stages = unlimited.stages.map((ways) => ways.map((way) => ({ ...way, seconds: way.bytes })));
  const bytes = partition({ ...unlimited, stages })?.slowest ?? Number.POSITIVE_INFINITY;
  return { stage: null, bytes, given: Math.max(...budgets.map((budget) => budget ?? 0)) };
}

const NOTHING: Need = { stage: null, bytes: Number.POSITIVE_INFINITY, given: 1 };

/** The least that one stage holds while all others keep to their budgets. */
function leastOf(problem: StaffedProblem, stage: number): number {
  const measured = (way: Staffed): Staffed => ({ ...way, seconds: way.bytes, fits: () => true });
  const kept = (way: Staffed): Staffed => ({ ...way, seconds: () => 0 });
  const stages = problem.stages.map((ways, j) => ways.map(j === stage ? measured : kept));
  return partition({ ...problem, stages })?.slowest ?? Number.POSITIVE_INFINITY;
}
