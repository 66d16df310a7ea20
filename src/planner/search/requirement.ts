/** The memory requirement of a topology: how many bytes would suffice, and which budget is too small. */
import type { Requirement } from '../../plan/budget.js';
import { type CostedProblem, type SizedOption, sharesMemory, withoutBudgets } from './allocation.js';
import { leastRoom, partition } from './partition.js';

/**
 * The budget that misses the smallest share while the others hold. If no single budget is at fault, or all are the same: the bytes that would
 * suffice for each stage.
 */
export function requirementOf(problem: CostedProblem): Requirement {
  const budgets = problem.stages.map(([option]) => (sharesMemory(option!.option) ? null : option!.budget));
  const share = ({ bytes, given }: Requirement) => bytes / (given ?? problem.memory);
  const alone = budgets.flatMap((given, stage) =>
    given === null ? [] : [{ stage, given, bytes: leastOf(problem, stage) }],
  );
  const together = budgets.includes(null) ? [{ stage: null, given: null, bytes: leastRoom(problem) }] : [];
  if (new Set(budgets).size > 1 || together.length > 0) {
    const tightest = [...alone, ...together].reduce<Requirement>((a, b) => (share(b) < share(a) ? b : a), NOTHING);
    if (Number.isFinite(tightest.bytes)) return tightest;
  }
  const unlimited = withoutBudgets(problem);
  const stages = unlimited.stages.map((options) => options.map(byBytes));
  const bytes = partition({ ...unlimited, stages })?.slowest ?? Number.POSITIVE_INFINITY;
  return { stage: null, bytes, given: Math.max(...budgets.map((budget) => budget ?? 0)) };
}

const NOTHING: Requirement = { stage: null, bytes: Number.POSITIVE_INFINITY, given: 1 };

/** The fewest bytes of one stage while all others keep their budgets. */
function leastOf(problem: CostedProblem, stage: number): number {
  const withinBudget = (option: SizedOption): SizedOption => ({ ...option, most: 1, seconds: () => 0, work: () => 0 });
  const minimised = (option: SizedOption): SizedOption => ({ ...byBytes(option), fits: () => true });
  const stages = problem.stages.map((options, j) => options.map(j === stage ? minimised : withinBudget));
  return partition({ ...problem, stages })?.slowest ?? Number.POSITIVE_INFINITY;
}

/** Minimises bytes instead of seconds. No stage holds less than with one unit. */
function byBytes(option: SizedOption): SizedOption {
  return { ...option, most: 1, seconds: option.bytes, work: () => 0 };
}
