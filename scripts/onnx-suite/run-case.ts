/** Runs one case whole in onnxruntime-node and cut in tandem, and compares the outputs. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Engine } from '../../src/engine/engine.js';
import { onnxruntime } from '../../src/engine/onnxruntime/onnxruntime.js';
import { tensorFrom, toOrt } from '../../src/engine/onnxruntime/ort-tensor.js';
import { openOrt } from '../../src/engine/onnxruntime/session.js';
import { readRunnable } from '../../src/engine/runnable.js';
import { asTandemError } from '../../src/errors.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { slicesOf } from '../../src/model/slice.js';
import { seeded, seededValues } from '../../src/prove/models/seeded.js';
import { isDType, type Tensor } from '../../src/tensor.js';
import { compare, distance, RUNNER, type Tolerance } from './compare.js';
import type { SuiteCase } from './obtain.js';
import { readValues, type Values } from './values.js';

/** What computes the slices. */
export interface SuiteEngine {
  readonly engine: Pick<Engine, 'load'>;
  readonly provider: string;
}

const ONNXRUNTIME: SuiteEngine = { engine: onnxruntime, provider: 'cpu' };

export interface CaseResult {
  readonly suite: string;
  readonly name: string;
  /** `uncut`: it has no legal cut. `skipped`: onnxruntime-node cannot run it whole or is not deterministic. `refused`: tandem refuses it with a code. */
  readonly outcome: 'cut' | 'uncut' | 'refused' | 'skipped';
  /** Why it was skipped or refused. */
  readonly why: string;
  readonly cuts: number;
  /** Number of cuts with bit-identical outputs. */
  readonly same: number;
  /** The differences by cut. */
  readonly different: readonly string[];
}

/** `pick` selects legal cuts; default: all. Another engine's slices are held against that engine's whole model. */
export async function runCase(
  suiteCase: SuiteCase,
  pick: (cuts: number[]) => number[] = (cuts) => cuts,
  by: SuiteEngine = ONNXRUNTIME,
): Promise<CaseResult> {
  const { suite, name, model } = suiteCase;
  const done = (outcome: CaseResult['outcome'], why = '', cuts = 0, same = 0, different: string[] = []) => ({
    ...{ suite, name, outcome, why, cuts, same, different },
  });
  let feeds: Values[][];
  let expected: Expected;
  try {
    ({ feeds, expected } = await runWhole(suiteCase));
  } catch (error) {
    return done('skipped', (error as Error).message);
  }
  let graph: ModelGraph;
  try {
    graph = await readRunnable(model);
  } catch (error) {
    const { code, message } = asTandemError(error);
    return code === 'TANDEM_MODEL_UNSUPPORTED'
      ? done('refused', message)
      : done('cut', '', 0, 0, [`${code}: ${message}`]);
  }
  if (by !== ONNXRUNTIME) {
    try {
      expected = { ...expected, outputs: await outputsOf(graph, [], feeds, by) };
    } catch (error) {
      return done('skipped', (error as Error).message);
    }
  }
  const legal = legalCuts(graph);
  const ways = [[], ...pick(legal).map((k) => [k]), ...severalCuts(legal, name)];
  const different: string[] = [];
  let same = 0;
  for (const cuts of ways) {
    const likeness = await likenessOf(graph, cuts, feeds, expected, by).catch((error) => (error as Error).message);
    if (likeness === 'same') same++;
    else if (likeness !== 'close') different.push(`cut at [${cuts.join(', ')}]: ${likeness}`);
  }
  return done(legal.length > 0 ? 'cut' : 'uncut', '', ways.length, same, different);
}

/** The expected outputs and the tolerance of each set of feeds. */
interface Expected {
  readonly outputs: Tensor[][];
  readonly tolerance: Tolerance;
}

/** One cut into up to four slices, always the same for a name. */
function severalCuts(legal: readonly number[], name: string): number[][] {
  if (legal.length < 2) return [];
  const random = seeded([...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7));
  const chosen = new Set(Array.from({ length: 3 }, () => legal[Math.floor(random() * legal.length)]!));
  return [[...chosen].sort((a, b) => a - b)];
}

async function likenessOf(
  graph: ModelGraph,
  cuts: number[],
  feeds: Values[][],
  expected: Expected,
  by: SuiteEngine,
): Promise<string> {
  const found = await outputsOf(graph, cuts, feeds, by);
  const likenesses = found.flatMap((outputs, set) =>
    outputs.map((output, n) => compare(output, expected.outputs[set]![n]!, expected.tolerance)),
  );
  return likenesses.includes('different') ? 'different' : likenesses.includes('close') ? 'close' : 'same';
}

/** The graph's outputs for each set of feeds, slice after slice. */
async function outputsOf(
  graph: ModelGraph,
  cuts: number[],
  feeds: Values[][],
  { engine, provider }: SuiteEngine,
): Promise<Tensor[][]> {
  const held = feeds.map((set) => new Map(set.map((value) => [value.name, value as unknown as Tensor])));
  for (const slice of slicesOf(graph, cuts)) {
    const loaded = await engine.load(slice, { provider, threads: 1 });
    try {
      for (const values of held) {
        const outputs = await loaded.run(slice.inputs.map((input) => values.get(input)!));
        for (const [n, output] of slice.outputs.entries()) values.set(output, outputs[n]!);
      }
    } finally {
      await loaded.dispose();
    }
  }
  return held.map((values) => graph.outputs.map((output) => values.get(output)!));
}

/** The model's outputs in onnxruntime-node, from the unchanged file. Throws if it does not run or is not deterministic. */
async function runWhole({ model, dataSets, open }: SuiteCase): Promise<{ feeds: Values[][]; expected: Expected }> {
  const ort = await openOrt();
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;
  const session = await ort.InferenceSession.create(model, options);
  const again = await ort.InferenceSession.create(model, options);
  // Without graph optimisation: op by op, as in the file.
  const plain = open && (await ort.InferenceSession.create(model, { ...options, graphOptimizationLevel: 'disabled' }));
  const feeds =
    dataSets.length > 0 ? dataSets.map((folder) => readFeeds(folder, session)) : [seededFeeds(session, open)];
  const outputs: Tensor[][] = [];
  let { absolute } = RUNNER;
  for (const set of feeds) {
    const tensors = Object.fromEntries(set.map((feed) => [feed.name, toOrt(ort, feed as Tensor)]));
    const runs = [session, again, ...(plain ? [plain] : [])].map((each) => each.run(tensors));
    const [first, second, third] = (await Promise.all(runs)).map((results) =>
      session.outputNames.map((output) => tensorOf(output, results[output]!)),
    );
    if (first!.some((tensor, n) => compare(tensor, second![n]!) !== 'same')) throw new Error('its outputs are random');
    // Without a given tolerance: the difference between ORT with and without graph optimisation.
    if (third) absolute = Math.max(absolute, ...first!.map((tensor, n) => distance(tensor, third[n]!)));
    outputs.push(first!);
  }
  for (const each of [session, again, plain]) await each?.release();
  return { feeds, expected: { outputs, tolerance: { ...RUNNER, absolute } } };
}

function readFeeds(folder: string, { inputNames }: InferenceSession): Values[] {
  const files = readdirSync(folder).filter((name) => name.startsWith('input_'));
  const values = files.map((name) => ({ ...readValues(join(folder, name)), at: Number(/\d+/.exec(name)![0]) }));
  // By name if the file has a name of a model input, else by position.
  return values.map((value) => ({
    ...value,
    name: inputNames.includes(value.name) ? value.name : inputNames[value.at]!,
  }));
}

function seededFeeds({ inputMetadata }: InferenceSession, { rows, free } = { rows: 1, free: 1 }): Values[] {
  return inputMetadata.map((input) => {
    if (!input.isTensor || !isDType(input.type)) throw new Error('it has no data and takes no numbers');
    const shape = input.shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? rows : free));
    return { name: input.name, dtype: input.type, shape, data: seededValues(input.type, shape, 1, seeded(1)) };
  });
}

function tensorOf(name: string, tensor: OrtTensor): Tensor {
  const { type, dims, data } = tensor;
  if (type === 'string') {
    return { dtype: 'uint8', shape: dims, data: new TextEncoder().encode((data as string[]).join('\0')) };
  }
  return tensorFrom(name, tensor);
}
