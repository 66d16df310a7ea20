/** The model unsplit: finds out which engine and which devices work here by opening it on them. */
import { join } from 'node:path';
import { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { readMachine } from '../../src/plan/machine.js';
import { makePlan } from '../../src/plan/make-plan.js';
import { readNvidiaDriver } from '../../src/plan/nvidia.js';
import type { StageOptions } from '../../src/plan/plan.js';
import { Contender, DEADLINE } from './contender.js';

/** The same model for each engine, in order of preference. */
export const MODEL_FILES = { tfjs: 'model.json', onnxruntime: 'model.onnx' } as const;
export type DemoEngine = keyof typeof MODEL_FILES;

export interface OnCpu {
  readonly graph: ModelGraph;
  readonly engine: DemoEngine;
  readonly whole: Contender;
  /** Why an engine before it in the order was passed over. */
  readonly passedOver: TandemError | null;
}

/** Opens the whole model on all cores, with the first of `engines` that is there. Throws when none is. */
export async function openOnCpu(folder: string, engines: readonly DemoEngine[], output: string): Promise<OnCpu> {
  let passedOver: TandemError | null = null;
  for (const engine of engines) {
    const graph = await openModel(join(folder, MODEL_FILES[engine]));
    try {
      const whole = await openWhole(graph, { device: 'cpu', threads: readMachine().cores }, output);
      return { graph, engine, whole, passedOver };
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== 'TANDEM_ENGINE_MISSING') throw error;
      passedOver = error;
    }
  }
  throw passedOver!;
}

export type OnCard = { readonly whole: Contender } | { readonly whole: null; readonly whyNot: string };

/** Opens the whole model on the graphics card, where there is one that the engine can use. */
export async function openOnCard(graph: ModelGraph, output: string): Promise<OnCard> {
  if (readNvidiaDriver() === null) return { whole: null, whyNot: 'no NVIDIA card here' };
  try {
    return { whole: await openWhole(graph, { device: 'gpu' }, output) };
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    return { whole: null, whyNot: `${error.message}\n${error.remedy}` };
  }
}

async function openWhole(graph: ModelGraph, stage: StageOptions, output: string): Promise<Contender> {
  const plan = await makePlan(graph, { stages: [stage], rowSpecs: null, deadline: DEADLINE });
  return Contender.open(graph, plan, output);
}
