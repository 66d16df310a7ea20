/** Plans stages beside the threads that prepare their rows: how many threads these get, whether on cores of their own, and what both do together. */
import { isCpu } from '../engine/device.js';
import { withCores } from '../machine/cores-left.js';
import { readCores } from '../machine/machine.js';
import type { Plan } from '../plan/plan.js';
import { divideCores, type PreparingPlan, sharedPace } from '../plan/preparing-plan.js';
import type { Preparing } from '../rows/preparing.js';

export interface Beside {
  /** Of the source; `null` where nothing prepares its rows. */
  readonly preparing: Preparing | null;
  /** Whether cores may be kept from the stages: no stage is named. */
  readonly mayReserve: boolean;
  /** Rows that are planned for, for each row of the input: typical ones where rows differ in length. */
  readonly perRow: number;
}

/** The plan with `preparing`, and with what is expected of both. `make` is called again where the stages are to leave cores. */
export async function planBeside(beside: Beside, make: () => Promise<Plan>): Promise<Plan> {
  const plan = await make();
  const { preparing, perRow, mayReserve } = beside;
  if (!preparing || preparing.secondsPerRow === null || plan.preparing) return plan;
  const { what, secondsPerRow, usualThreads } = preparing;
  const alone = aloneOf(plan);
  if (!alone) return { ...plan, preparing: { what, threads: usualThreads, secondsPerRow, cores: 0 } };
  const cores = readCores();
  const seconds = secondsPerRow / perRow;
  const division = divideCores(seconds, alone, cores, mayReserve);
  if (division.reserved > 0) {
    const smaller = await withCores(cores - division.reserved, make);
    const own = { what, threads: division.threads, secondsPerRow, cores: division.reserved };
    const pace = Math.min(smaller.expected?.rowsPerSecond ?? 0, division.threads / seconds);
    if (pace > 0) return expecting(smaller, own, pace);
    return { ...smaller, preparing: own };
  }
  const shared = Math.min(sharedPace(seconds, alone, cores), division.threads / seconds);
  return expecting(plan, { what, threads: division.threads, secondsPerRow, cores: 0 }, shared);
}

/** `null` for a plan that was not measured. */
function aloneOf({ expected, stages }: Plan): { rowsPerSecond: number; cores: number } | null {
  if (!expected || expected.rowsPerSecond <= 0) return null;
  const busy = stages.reduce((sum, { device, threads, workers }) => sum + (isCpu(device) ? threads * workers : 0), 0);
  return { rowsPerSecond: expected.rowsPerSecond, cores: Math.min(busy, readCores()) };
}

function expecting(plan: Plan, preparing: PreparingPlan, rowsPerSecond: number): Plan {
  const { expected } = plan;
  if (!expected) return { ...plan, preparing };
  const kept = Math.min(1, rowsPerSecond / expected.rowsPerSecond);
  return {
    ...plan,
    preparing,
    expected: { ...expected, rowsPerSecond: expected.rowsPerSecond * kept, bubble: 1 - (1 - expected.bubble) * kept },
  };
}
