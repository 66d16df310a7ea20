/** Runs one case whole in onnxruntime-node and cut in tandem, and compares. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { onnxruntime } from '../../src/engine/onnxruntime/onnxruntime.js';
import { tensorFrom } from '../../src/engine/onnxruntime/ort-slice.js';
import { openOrt } from '../../src/engine/onnxruntime/session.js';
import { asTandemError } from '../../src/errors.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { slicesOf } from '../../src/model/slice.js';
import { isDType, type Tensor } from '../../src/tensor.js';
import { seeded, seededValues } from '../make-onnx/seeded.js';
import { compare, distance, RUNNER, type Tolerance } from './compare.js';
import type { SuiteCase } from './obtain.js';
import { readValues, type Values } from './values.js';

const CPU = { provider: 'cpu', threads: 1 } as const;

export interface CaseResult {
  readonly suite: string;
  readonly name: string;
  /** `uncut`: it has no legal cut. `skipped`: onnxruntime-node does not run it whole, or not twice alike. `refused`: tandem does not pipeline it, with a code. */
  readonly outcome: 'cut' | 'uncut' | 'refused' | 'skipped';
  /** Why it was skipped or refused. */
  readonly why: string;
  readonly cuts: number;
  /** Cuts after which every output was the same to the bit. */
  readonly same: number;
  /** What differed, cut by cut. */
  readonly different: readonly string[];
}

/** `pick` chooses among the legal cuts; by default all are taken. */
export async function runCase(
  suiteCase: SuiteCase,
  pick: (cuts: number[]) => number[] = (cuts) => cuts,
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
    graph = await openModel(model);
  } catch (error) {
    const { code, message } = asTandemError(error);
    return code === 'TANDEM_MODEL_UNSUPPORTED'
      ? done('refused', message)
      : done('cut', '', 0, 0, [`${code}: ${message}`]);
  }
  const legal = legalCuts(graph);
  const ways = [[], ...pick(legal).map((k) => [k]), ...severalCuts(legal, name)];
  const different: string[] = [];
  let same = 0;
  for (const cuts of ways) {
    const likeness = await likenessOf(graph, cuts, feeds, expected).catch((error) => (error as Error).message);
    if (likeness === 'same') same++;
    else if (likeness !== 'close') different.push(`cut at [${cuts.join(', ')}]: ${likeness}`);
  }
  return done(legal.length > 0 ? 'cut' : 'uncut', '', ways.length, same, different);
}

/** Of each set of feeds the outputs, and how far from them is near enough. */
interface Expected {
  readonly outputs: Tensor[][];
  readonly tolerance: Tolerance;
}

/** One cut into up to four slices, the same for the same name. */
function severalCuts(legal: readonly number[], name: string): number[][] {
  if (legal.length < 2) return [];
  const random = seeded([...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7));
  const chosen = new Set(Array.from({ length: 3 }, () => legal[Math.floor(random() * legal.length)]!));
  return [[...chosen].sort((a, b) => a - b)];
}

async function likenessOf(graph: ModelGraph, cuts: number[], feeds: Values[][], expected: Expected): Promise<string> {
  const slices = slicesOf(graph, cuts);
  const held = feeds.map((set) => new Map(set.map((value) => [value.name, value as unknown as Tensor])));
  for (const slice of slices) {
    const loaded = await onnxruntime.load(slice, CPU);
    try {
      for (const values of held) {
        const outputs = await loaded.run(slice.inputs.map((input) => values.get(input)!));
        for (const [n, output] of slice.outputs.entries()) values.set(output, outputs[n]!);
      }
    } finally {
      await loaded.dispose();
    }
  }
  const likenesses = held.flatMap((values, set) =>
    graph.outputs.map((output, n) => compare(values.get(output)!, expected.outputs[set]![n]!, expected.tolerance)),
  );
  return likenesses.includes('different') ? 'different' : likenesses.includes('close') ? 'close' : 'same';
}

/** The model's outputs in onnxruntime-node alone, from the file as it is. Throws where it does not run, or not twice alike. */
async function runWhole({ model, dataSets, open }: SuiteCase): Promise<{ feeds: Values[][]; expected: Expected }> {
  const ort = await openOrt();
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;
  const session = await ort.InferenceSession.create(model, options);
  const again = await ort.InferenceSession.create(model, options);
  // As the file has it, op by op.
  const plain = open && (await ort.InferenceSession.create(model, { ...options, graphOptimizationLevel: 'disabled' }));
  const feeds =
    dataSets.length > 0 ? dataSets.map((folder) => readFeeds(folder, session)) : [seededFeeds(session, open)];
  const outputs: Tensor[][] = [];
  let { absolute } = RUNNER;
  for (const set of feeds) {
    const tensors = Object.fromEntries(
      set.map(({ name, dtype, shape, data }) => [
        name,
        new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
      ]),
    );
    const runs = [session, again, ...(plain ? [plain] : [])].map((each) => each.run(tensors));
    const [first, second, third] = (await Promise.all(runs)).map((results) =>
      session.outputNames.map((output) => tensorOf(output, results[output]!)),
    );
    if (first!.some((tensor, n) => compare(tensor, second![n]!) !== 'same')) throw new Error('its outputs are random');
    // Where nobody has said how near is near enough: as near as ORT is to itself when it leaves the graph as it is.
    if (third) absolute = Math.max(absolute, ...first!.map((tensor, n) => distance(tensor, third[n]!)));
    outputs.push(first!);
  }
  for (const each of [session, again, plain]) await each?.release();
  return { feeds, expected: { outputs, tolerance: { ...RUNNER, absolute } } };
}

function readFeeds(folder: string, { inputNames }: InferenceSession): Values[] {
  const files = readdirSync(folder).filter((name) => name.startsWith('input_'));
  const values = files.map((name) => ({ ...readValues(join(folder, name)), at: Number(/\d+/.exec(name)![0]) }));
  // By name where the file has one that the model knows, else by place.
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
