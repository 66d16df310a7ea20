/** A plan as a file: written for one model, machine and engine build, and refused with the reason anywhere else. */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { engineBuild } from '../engine/build.js';
import { parseDevice, providerFor } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { modelHash } from '../model/model-hash.js';
import { MOST, MOST_THREADS, MOST_TURNS } from './count.js';
import { machineName } from './machine-name.js';
import { opsOf, type Plan, rangesFromLayers } from './plan.js';

/** What `tandem plan --output` writes. */
export interface PlanFile {
  readonly schema: 1;
  readonly model: string;
  readonly machine: string;
  readonly plan: Plan;
}

const COUNT = z.int().min(1).max(MOST);
const THREADS = z.int().min(1).max(MOST_THREADS);
const RANGE = z.object({ from: z.int().min(0), to: z.int().min(0) });
const STAGE = z.object({
  device: z.string(),
  engine: z.enum(['tfjs', 'onnxruntime', 'custom']),
  provider: z.string(),
  threads: THREADS,
  workers: THREADS,
  memory: z.int().min(0).optional(),
  beside: z.boolean().optional(),
  turns: z.int().min(1).max(MOST_TURNS).optional(),
  layers: RANGE,
});
const AMOUNT = z.number().min(0);
const EXPECTED = z.object({
  name: z.string(),
  rowsPerSecond: AMOUNT,
  start: z.object({ seconds: AMOUNT, microBatches: z.int().min(0) }).optional(),
  bubble: z.number(),
  lowerBound: AMOUNT,
  verified: z.boolean(),
  stages: z.array(z.object({ seconds: AMOUNT, bytes: AMOUNT, budget: AMOUNT.nullable(), utilisation: AMOUNT })),
});
const FILE = z.object({
  schema: z.literal(1),
  model: z.string(),
  machine: z.string(),
  plan: z.object({
    stages: z.array(STAGE).min(1).max(64),
    microBatch: COUNT,
    depth: COUNT,
    isolation: z.enum(['thread', 'process']),
    cutBy: z.enum(['layers', 'measured', 'flops', 'weights']),
    expected: EXPECTED.optional(),
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

/** Throws TANDEM_USAGE for what is no plan, TANDEM_PLAN_FOREIGN for one of another model, machine or engine build. */
export function readPlanFile(path: string, graph: ModelGraph): Plan {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
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

/** A plan file's contents for this model, here. */
export function checkPlan(file: PlanFile | z.infer<typeof FILE>, graph: ModelGraph, path = 'the plan'): Plan {
  const { model, machine, plan } = file;
  if (model !== modelHash(graph)) throw foreign(path, 'model', 'it was made for a model of another structure');
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
  return { ...plan, stages: plan.stages.map((stage, j) => ({ ...stage, ops: ops[j]! })) } as Plan;
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
