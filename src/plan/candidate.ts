/** A candidate: a form with its best cut, and what it would do. */
import { engineBuild } from '../engine/build.js';
import { parseDevice } from '../engine/registry.js';
import { settleThreads } from '../pool/environment.js';
import { sum } from '../sums.js';
import { crewOf, type Form, sharesThreads } from './form.js';
import { isolationFor } from './make-plan.js';
import { type Need, needOf } from './need.js';
import { lowerBound, type Partition, partition } from './partition.js';
import { defaultDepth, opsOf, type Plan } from './plan.js';
import { problemOf, type Search, type StaffedProblem, staff, takings, withoutBudgets, workersOf } from './staffing.js';

export interface Candidate {
  readonly form: Form;
  /** `null` when no cut fits the budgets. */
  readonly plan: Plan | null;
  /** Rows a second of the best cut if memory were without end. */
  readonly unlimited: number;
  /** What would be enough. */
  readonly need: Need;
}

/** For each stage, by how much it was seen to need more (or less) than the profile says. */
export interface Scales {
  readonly seconds?: readonly number[];
  readonly bytes?: readonly number[];
}

/** The best cut of a form that the budgets allow. */
export function candidateOf(search: Search, form: Form, scales: Scales = {}): Candidate {
  const { microBatch } = search;
  let stage = 0;
  const staffed = form.stages.map((ways) => {
    const own = crewOf(ways[0]!).map((_, n) => ({
      seconds: scales.seconds?.[stage + n] ?? 1,
      bytes: scales.bytes?.[stage + n] ?? 1,
    }));
    stage += own.length;
    return ways.map((way) => staff(search, way, own));
  });
  // More workers need more slots, so that fewer may be what fits.
  const counts = new Set(form.stages.flat().map(workersOf));
  const problems = [...counts].sort((a, b) => b - a).map((most) => problemOf(search, staffed, most));
  const free = partition(withoutBudgets(problems[0]!));
  let best: { problem: StaffedProblem; found: Partition } | undefined;
  for (const problem of problems) {
    const found = partition(problem);
    if (found && (!best || found.slowest < best.found.slowest)) best = { problem, found };
    if (best && best.found.slowest === free?.slowest) break;
  }
  return {
    form,
    plan: best ? planOf(search, form, best.problem, best.found) : null,
    unlimited: free ? microBatch / intervalOf(problems[0]!, free) : 0,
    need: problems.map(needOf).reduce((least, need) => (need.bytes < least.bytes ? need : least)),
  };
}

/** Seconds between two micro-batches: of the slowest stage, but never less than one needs to be led through. */
function intervalOf({ stages }: StaffedProblem, { staffing, slowest }: Partition): number {
  return Math.max(slowest, ...staffing.map((way, j) => stages[j]![way]!.hop));
}

function planOf(
  { graph, microBatch, request }: Search,
  form: Form,
  problem: StaffedProblem,
  partitioned: Partition,
): Plan {
  const { starts, staffing } = partitioned;
  const interval = intervalOf(problem, partitioned);
  const bounds = [...starts, problem.layers];
  const stages = staffing.flatMap((n, section) => {
    const [from, to] = [bounds[section]!, bounds[section + 1]!];
    const staffed = problem.stages[section]![n]!;
    const shares = takings(staffed, from, to);
    const round = sum(staffed.turns(from, to));
    return staffed.crew.map((own, k) => {
      const { workers, ...taking } = shares[k]!;
      const seconds = own.seconds(from, to);
      // Of the time in which a round goes by.
      const busy = (seconds * (taking.turns ?? 1)) / round;
      return {
        way: own.way,
        range: { from, to: to - 1 },
        taking,
        seconds: seconds * workers,
        bytes: staffed.held(own, from, to),
        budget: own.budget,
        utilisation: interval > 0 ? busy / interval : 1,
      };
    });
  });
  const ranges = stages.map(({ range }) => range);
  const ops = opsOf(graph, ranges);
  const ways = stages.map(({ way }) => way);
  const asked = request.isolation ?? 'auto';
  const wanted = isolationFor(asked, ways);
  const isolation = asked !== 'auto' || sharesThreads(wanted, ways) ? wanted : 'process';
  return {
    builds: Object.fromEntries(ways.map(({ engine, provider }) => [provider, engineBuild(engine, provider)])),
    stages: ways.map(({ device, engine, provider, threads, workers, memory }, j) => ({
      device,
      engine,
      provider,
      // Threads of one process must agree with what it was begun with.
      threads: isolation === 'thread' ? settleThreads(engine, threads, parseDevice(device), false) : threads,
      workers,
      ...(memory === undefined ? {} : { memory }),
      ...stages[j]!.taking,
      layers: ranges[j]!,
      ops: ops[j]!,
    })),
    microBatch,
    depth: request.depth ?? defaultDepth(stages.map(({ way: { workers }, taking }) => ({ workers, ...taking }))),
    isolation,
    cutBy: 'measured',
    expected: {
      name: form.name,
      rowsPerSecond: microBatch / interval,
      bubble: 1 - sum(stages.map(({ utilisation }) => utilisation)) / stages.length,
      lowerBound: lowerBound(problem),
      verified: false,
      stages: stages.map(({ seconds, bytes, budget, utilisation }) => ({
        seconds,
        bytes,
        budget: Number.isFinite(budget) ? budget : null,
        utilisation,
      })),
    },
  };
}
