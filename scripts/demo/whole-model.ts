/** Opens the unsplit model, to find out which engine and which devices work here. */
import { join } from 'node:path';
import { TandemError } from '../../src/errors.js';
import { readNvidiaDriver } from '../../src/machine/cards/nvidia.js';
import { readMachine } from '../../src/machine/machine.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import type { StageOptions } from '../../src/plan/stage-options.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { Candidate, DEADLINE_MS } from './candidate.js';

/** The same model for each engine, in order of preference. */
export const MODEL_FILES = { tfjs: 'model.json', onnxruntime: 'model.onnx' } as const;
export type DemoEngine = keyof typeof MODEL_FILES;

export interface OnCpu {
  readonly graph: ModelGraph;
  readonly engine: DemoEngine;
  readonly whole: Candidate;
  /** The error of the preferred engine, if another one is used. */
  readonly skipped: TandemError | null;
}

/** Opens the whole model on all cores, with the first available engine of `engines`. Throws if there is none. */
export async function openOnCpu(folder: string, engines: readonly DemoEngine[], output: string): Promise<OnCpu> {
  let skipped: TandemError | null = null;
  for (const engine of engines) {
    const graph = await openModel(join(folder, MODEL_FILES[engine]));
    try {
      const whole = await openWhole(graph, { device: 'cpu', threads: readMachine().cores }, output);
      return { graph, engine, whole, skipped };
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== 'TANDEM_ENGINE_MISSING') throw error;
      skipped = error;
    }
  }
  throw skipped!;
}

export type OnCard = { readonly whole: Candidate } | { readonly whole: null; readonly whyNot: string };

/** Opens the whole model on the graphics card, if the engine can use one. */
export async function openOnCard(graph: ModelGraph, output: string): Promise<OnCard> {
  if (readNvidiaDriver() === null) return { whole: null, whyNot: 'there is no NVIDIA card' };
  try {
    return { whole: await openWhole(graph, { device: 'gpu' }, output) };
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    return { whole: null, whyNot: `${error.message}\n${error.remedy}` };
  }
}

async function openWhole(graph: ModelGraph, stage: StageOptions, output: string): Promise<Candidate> {
  const plan = await makePlan(graph, { stages: [stage], rowSpecs: null, deadlineMs: DEADLINE_MS });
  return Candidate.open(graph, plan, output);
}
