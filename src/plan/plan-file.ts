/** A plan file: written for one model, machine and engine build, and refused with the reason anywhere else. */
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { engineBuild, providerFor } from '../engine/choose.js';
import { parseDevice } from '../engine/device.js';
import { TandemError } from '../errors.js';
import { machineName } from '../machine/name.js';
import { isLegalCut } from '../model/cut.js';
import type { ModelGraph } from '../model/graph.js';
import { modelHash } from '../model/model-hash.js';
import { readTextFile } from '../text-file.js';
import { MOST } from './count.js';
import { opsOf, type Plan, rangesFromLayers } from './plan.js';
import { type LayerRange, plannedSettings } from './stage-options.js';

/** What `tandem plan --output` writes. */
export interface PlanFile {
  readonly schema: 1;
  readonly model: string;
  readonly machine: string;
  readonly plan: Plan;
}

const COUNT = z.int().min(1).max(MOST);
const OPS = z.object({ from: z.int().min(0), to: z.int().min(0) });
/** Strict: a setting that is not known here would be left out in silence. */
const STAGE = z.strictObject({
  device: z.string(),
  engine: z.string(),
  ...plannedSettings(z),
  beside: z.boolean().optional(),
  ops: OPS.optional(),
  passes: z.array(OPS).min(1).optional(),
  resident: z.int().min(0).optional(),
  keepsState: z.boolean().optional(),
});
const AMOUNT = z.number().min(0);
export const LENGTHS = z.object({
  tokens: z.number().min(1),
  window: COUNT,
  multiple: COUNT,
  padded: z.boolean(),
  inOrder: z.boolean().optional(),
  shortest: AMOUNT,
  longest: AMOUNT,
  largest: z.array(z.array(AMOUNT)),
  meanRows: AMOUNT,
  meanTokens: AMOUNT,
});
const PREPARING = z.object({
  what: z.string(),
  threads: COUNT,
  secondsPerRow: AMOUNT,
  cores: z.int().min(0).max(MOST),
});
const EXPECTED = z.object({
  name: z.string(),
  rowsPerSecond: AMOUNT,
  start: z.object({ seconds: AMOUNT, microBatches: z.int().min(0) }).optional(),
  bubble: z.number(),
  lowerBound: AMOUNT,
  verified: z.boolean(),
  busy: AMOUNT.optional(),
  noise: AMOUNT.optional(),
  stages: z.array(z.object({ seconds: AMOUNT, bytes: AMOUNT, budget: AMOUNT.nullable(), utilisation: AMOUNT })),
});
const FILE = z.object({
  schema: z.literal(1),
  model: z.string(),
  machine: z.string(),
  plan: z.object({
    stages: z.array(STAGE).min(1).max(64),
    microBatch: COUNT,
    lengths: LENGTHS.optional(),
    preparing: PREPARING.optional(),
    depth: COUNT,
    block: COUNT.optional(),
    isolation: z.enum(['thread', 'process']),
    cutBy: z.enum(['layers', 'measured', 'flops', 'weights']),
    expected: EXPECTED.optional(),
    batchInvariant: z.boolean().nullable().optional(),
    builds: z.record(z.string(), z.string()).optional(),
  }),
});

export function writePlanFile(path: string, graph: ModelGraph, plan: Plan): void {
  const file: PlanFile = { schema: 1, model: modelHash(graph), machine: machineName(), plan };
  try {
    writeFileSync(path, `${JSON.stringify(file, null, 2)}\n`);
  } catch (cause) {
    throw new TandemError('TANDEM_OUTPUT_FAILED', `${path} cannot be written: ${(cause as Error).message}`, {
      remedy: 'give --output another place',
      cause,
    });
  }
}

/** Throws TANDEM_USAGE if the file is not a plan, and TANDEM_PLAN_FOREIGN if it was made for another model, machine or engine build. */
export function readPlanFile(path: string, graph: ModelGraph): Plan {
  let text: string;
  try {
    text = readTextFile(path);
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `${path} cannot be read: ${(cause as Error).message}`, {
      remedy: 'make a plan with: tandem plan MODEL --output plan.json',
      cause,
    });
  }
  const { data, error } = FILE.safeParse(parsed(text, path));
  if (error) throw notAPlan(path, z.prettifyError(error).split('\n')[0]!);
  return checkPlan(data, graph, path);
}

/** Checks a plan file's contents for this model and machine. */
function checkPlan(file: PlanFile | z.infer<typeof FILE>, graph: ModelGraph, path = 'the plan'): Plan {
  const { model, machine, plan } = file;
  if (model !== modelHash(graph))
    throw foreign(path, 'model', 'it was made for a model of another structure, or with another --set or --rows-axis');
  if (machine !== machineName()) {
    throw foreign(path, 'machine', `it was made on "${machine}", and this is "${machineName()}"`);
  }
  for (const { engine, provider, device } of plan.stages) {
    parseDevice(device);
    providerFor(engine, device, provider);
    const build = engineBuild(engine, provider);
    const wanted = plan.builds?.[provider];
    if (wanted !== undefined && wanted !== build) {
      throw foreign(path, 'engine build', `it was measured with ${wanted}, and here is ${build}`);
    }
  }
  const ranges = rangesFromLayers(graph, plan.stages);
  const ops = opsOf(graph, ranges!);
  for (const [j, { passes }] of plan.stages.entries()) {
    if (passes && !covers(graph, passes, ops[j]!)) {
      throw notAPlan(
        path,
        `the passes of stage ${j} do not cover its ops ${ops[j]!.from}..${ops[j]!.to} by legal cuts`,
      );
    }
  }
  for (const [j, { resident, passes }] of plan.stages.entries()) {
    if (resident === undefined) continue;
    if (plan.block === undefined) throw notAPlan(path, `stage ${j} rotates, and the plan has no block`);
    if (resident >= (passes ?? []).length) throw notAPlan(path, `stage ${j} rotates, and all its passes stay loaded`);
  }
  return { ...plan, stages: plan.stages.map((stage, j) => ({ ...stage, ops: ops[j]! })) } as Plan;
}

/** Whether the passes are consecutive ranges of ops, from the first op to the last, each cut where the model can be cut. */
function covers(graph: ModelGraph, passes: readonly LayerRange[], { from, to }: LayerRange): boolean {
  const ends = [from, ...passes.map((pass) => pass.to)];
  const follow = passes.every((pass, n) => pass.from === ends[n] && pass.to > pass.from);
  return follow && ends.at(-1) === to && passes.slice(1).every((pass) => isLegalCut(graph, pass.from));
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notAPlan(path, (cause as Error).message);
  }
}

function notAPlan(path: string, why: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${path} is not a plan: ${why}`, {
    remedy: 'make one with: tandem plan MODEL --output plan.json',
  });
}

function foreign(path: string, what: string, why: string): TandemError {
  return new TandemError('TANDEM_PLAN_FOREIGN', `${path} is for another ${what}: ${why}`, {
    remedy: 'make a plan here with: tandem plan MODEL --output plan.json',
  });
}
