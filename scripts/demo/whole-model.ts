/** The model unsplit: finds out which engine and which devices work here by running it on them. */
import { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { readMachine } from '../../src/plan/machine.js';
import { makePlan } from '../../src/plan/make-plan.js';
import { readNvidiaDriver } from '../../src/plan/nvidia.js';
import type { StageOptions } from '../../src/plan/plan.js';
import { DEADLINE, type MeasuredRun, measureRun } from './measured-run.js';

/** The same model for each engine, in order of preference. */
export const MODEL_FILES = { tfjs: 'model.json', onnxruntime: 'model.onnx' } as const;
export type DemoEngine = keyof typeof MODEL_FILES;

export interface WholeModel {
  readonly graph: ModelGraph;
  readonly engine: DemoEngine;
  /** Why an engine before it in the order was passed over. */
  readonly passedOver: TandemError | null;
  readonly onCpu: MeasuredRun;
}

/** Runs the whole model on all cores, with the first of `engines` that is there. Throws when none is. */
export async function runOnCpu(
  folder: string,
  engines: readonly DemoEngine[],
  input: string,
  output: string,
): Promise<WholeModel> {
  let passedOver: TandemError | null = null;
  for (const engine of engines) {
    const graph = await openModel(`${folder}/${MODEL_FILES[engine]}`);
    try {
      const onCpu = await runWhole(graph, { device: 'cpu', threads: readMachine().cores }, input, output);
      return { graph, engine, passedOver, onCpu };
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== 'TANDEM_ENGINE_MISSING') throw error;
      passedOver = error;
    }
  }
  throw passedOver!;
}

export type OnCard =
  | { readonly run: MeasuredRun; readonly whyNot: null }
  | { readonly run: null; readonly whyNot: string };

/** Runs the whole model on the graphics card, where there is one that the engine can use. */
export async function runOnCard(graph: ModelGraph, input: string, output: string): Promise<OnCard> {
  if (readNvidiaDriver() === null) return { run: null, whyNot: 'no NVIDIA card here' };
  try {
    return { run: await runWhole(graph, { device: 'gpu' }, input, output), whyNot: null };
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    return { run: null, whyNot: `the card is not used: ${error.message}; ${error.remedy}` };
  }
}

async function runWhole(graph: ModelGraph, stage: StageOptions, input: string, output: string): Promise<MeasuredRun> {
  const plan = await makePlan(graph, { stages: [stage], rowSpecs: null, deadline: DEADLINE });
  return measureRun(graph, plan, input, output);
}
