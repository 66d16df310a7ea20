/** A plan's route: the passes of its stages as slices, the steps of every micro-batch, and the tensors in a slot at each step. */
import type { Resident } from '../arena/layout.js';
import { type ReplicaGroup, replicaGroupsOf } from '../arena/replicas.js';
import type { Route, Step } from '../arena/route.js';
import { TandemError } from '../errors.js';
import { lifetimes } from '../liveness.js';
import type { ModelGraph } from '../model/graph.js';
import { keyOf, type Slice, slicesOf } from '../model/slice.js';
import type { Plan } from '../plan/plan.js';
import { FORWARD, inBlocks, type Policy } from '../schedule/policy.js';
import type { Live } from './load.js';

/** How micro-batches go through all stages more than once. */
export interface Rounds {
  /** The most that one may take. */
  readonly most: number;
  /** By name of an input, the output that is read instead from the second round on. */
  readonly feedback: Readonly<Record<string, string>>;
}

/** The passes of each of the plan's stages. Replicas have the same. Throws TANDEM_CUT_ILLEGAL, TANDEM_INTERNAL. */
export function passesOf(graph: ModelGraph, { stages }: Plan): (readonly Slice[])[] {
  const replicaGroups = replicaGroupsOf(stages);
  const ranges = replicaGroups.map(({ stages: [first] }) => stages[first!]!.passes ?? [stages[first!]!.ops]);
  const cuts = ranges.flat().map(({ from }) => from);
  const slices = slicesOf(graph, cuts.slice(1));
  for (const [n, { from, to }] of ranges.flat().entries()) {
    if (slices[n]!.from !== from || slices[n]!.to !== to) {
      throw new TandemError('TANDEM_INTERNAL', `pass ${from}..${to} does not follow the pass before it`);
    }
  }
  return replicaGroups.flatMap(({ stages: own }, n) => {
    const passes = slices.splice(0, ranges[n]!.length);
    return own.map(() => passes);
  });
}

/** The pool of the plan's stage j has index j. */
export function routeOf({ stages }: Plan, passes: readonly (readonly Slice[])[], rounds?: Rounds): Route {
  const steps = replicaGroupsOf(stages).flatMap(({ stages: own, roundRobin }: ReplicaGroup, stage) =>
    passes[own[0]!]!.map((slice, pass): Step => {
      const { keepsState, resident = passes[own[0]!]!.length } = stages[own[0]!]!;
      const pools = roundRobin.map((replica) => own[replica]!);
      const kind = { ...(keepsState ? { keepsState } : {}), ...(pass >= resident ? { rotates: true } : {}) };
      return { stage, pass, pools, slice: keyOf(slice), ...kind };
    }),
  );
  return {
    steps,
    workers: stages.map(({ workers }) => workers),
    rounds: rounds?.most ?? 1,
    feedback: rounds?.feedback ?? {},
  };
}

/** The order of visits: in blocks if a stage rotates, else the earliest micro-batch first. */
export function policyOf({ block }: Plan, { steps }: Pick<Route, 'steps'>): Policy {
  return block === undefined ? FORWARD : inBlocks(block, steps.length);
}

/** The slice of each step. */
export function slicesOfSteps({ stages }: Plan, passes: readonly (readonly Slice[])[]): Slice[] {
  return replicaGroupsOf(stages).flatMap(({ stages: [first] }) => passes[first!]!);
}

/** Every tensor of a slot, from the step that makes it to the last that reads it; `found` is its largest shape. */
export function residentsOf(
  graph: Pick<ModelGraph, 'inputs' | 'outputs'>,
  slices: readonly Slice[],
  found: ReadonlyMap<string, Live>,
  { feedback }: Pick<Route, 'feedback'>,
): Resident[] {
  const fed = graph.inputs.map(({ name }) => name);
  // The rows are kept to the end, so that a failed micro-batch can be run again from its start.
  const lives = lifetimes(slices, { fed, kept: [...graph.outputs, ...fed] });
  const read = lifetimes(slices, { fed });
  const born = new Map([...lives].map(([name, life]) => [name, life.born]));
  for (const [input, output] of Object.entries(feedback)) {
    checkFeedback(input, output, { made: born.get(output), read: read.get(input)?.last, found });
    // It must be intact when the next round begins.
    born.set(output, -1);
  }
  return [...lives].map(([name, { last }]) => {
    const { dtype, shape, bytes } = found.get(name)!;
    return { ...{ name, dtype, shape, bytes }, born: born.get(name)!, last };
  });
}

interface Lives {
  readonly made: number | undefined;
  readonly read: number | undefined;
  readonly found: ReadonlyMap<string, Live>;
}

/** A round reads an output of the round before, so nothing may overwrite it before its last reader. */
function checkFeedback(input: string, output: string, { made, read, found }: Lives): void {
  const [from, to] = [found.get(output), found.get(input)];
  const isSame = from?.dtype === to?.dtype && from?.shape.join() === to?.shape.join();
  if (made !== undefined && made >= 0 && to && isSame && (read ?? -1) <= made) return;
  const shown = (live: Live | undefined) => (live ? `${live.dtype} [${live.shape.join(', ')}]` : 'not there');
  throw new TandemError(
    'TANDEM_PLAN_IMPOSSIBLE',
    isSame
      ? `"${output}" is made in step ${made} and cannot be read in the next round as "${input}", which step ${read} still reads`
      : `"${output}", which is ${shown(from)}, cannot be read in the next round as "${input}", which is ${shown(to)}`,
    {
      remedy: 'feed back an output of the same type and shape, made where its input is read for the last time or later',
    },
  );
}
