/** Opens a damaged model, cuts it and runs it, as a child process that may be lost: one seed after the other, told to the parent. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { seeded, seededValues } from '../make-onnx/seeded.js';
import { mutate } from './mutate.js';

/** What became of one damaged model: `ran`, `too large to feed`, or the code of an error. */
export interface Report {
  readonly seed: number;
  readonly model: string;
  readonly what: string;
  readonly result: string;
  /** What should not have been. */
  readonly wrong: string | null;
}

const ELEMENTS = 1e6;
const CPU = { provider: 'cpu', threads: 1 } as const;

/** Files that were opened; a model may open those in its own folder only. */
const opened: string[] = [];
const openSync = fs.openSync;
fs.openSync = ((path: fs.PathLike, ...rest: [fs.OpenMode, fs.Mode?]) => {
  opened.push(resolve(String(path)));
  return openSync(path, ...rest);
}) as typeof fs.openSync;
syncBuiltinESMExports();

const { onnxruntime } = await import('../../src/engine/onnxruntime/onnxruntime.js');
const { TandemError } = await import('../../src/errors.js');
const { legalCuts } = await import('../../src/model/cut.js');
const { openModel } = await import('../../src/model/open.js');
const { slicesOf } = await import('../../src/model/slice.js');

async function attempt(path: string, seed: number): Promise<Omit<Report, 'model'>> {
  const random = seeded(seed);
  const { what, bytes } = mutate(path, random);
  const folder = dirname(path);
  const file = join(folder, `damaged-${seed}.onnx`);
  fs.writeFileSync(file, bytes);
  opened.length = 0;
  try {
    return { seed, what, result: await openAndRun(file, random), wrong: outsideOf(folder) };
  } catch (error) {
    if (!(error instanceof TandemError))
      return { seed, what, result: 'uncoded', wrong: (error as Error).stack ?? String(error) };
    const internal = error.code === 'TANDEM_INTERNAL' ? error.message : null;
    return { seed, what, result: error.code, wrong: internal ?? outsideOf(folder) };
  } finally {
    fs.rmSync(file);
  }
}

async function openAndRun(file: string, random: () => number): Promise<string> {
  const graph = await openModel(file);
  const legal = legalCuts(graph);
  const cuts = legal.length > 0 && random() < 0.5 ? [legal[Math.floor(random() * legal.length)]!] : [];
  const shapes = graph.inputs.map(({ shape }) => shape.map((dim, axis) => dim ?? (axis === 0 ? 2 : 5)));
  if (shapes.some((shape) => shape.reduce((count, dim) => count * dim, 1) > ELEMENTS)) return 'too large to feed';
  const held = new Map(
    graph.inputs.map(({ name, dtype }, n) => {
      const shape = shapes[n]!;
      return [name, { dtype, shape, data: seededValues(dtype, shape, 2, random) }];
    }),
  );
  for (const slice of slicesOf(graph, cuts)) {
    const loaded = await onnxruntime.load(slice, CPU);
    try {
      const outputs = await loaded.run(slice.inputs.map((name) => held.get(name)!));
      for (const [n, name] of slice.outputs.entries()) held.set(name, outputs[n] as never);
    } finally {
      await loaded.dispose();
    }
  }
  return 'ran';
}

function outsideOf(folder: string): string | null {
  const root = fs.realpathSync(folder) + sep;
  const strays = opened.filter((path) => path.endsWith('.onnx') || path.includes('secret') || path.startsWith('/etc'));
  const outside = strays.find((path) => !fs.realpathSync(path).startsWith(root));
  return outside ? `read ${outside}` : null;
}

process.on('message', async ({ path, seed }: { path: string; seed: number }) => {
  const report = await attempt(path, seed);
  process.send!({ ...report, model: basename(dirname(path)) });
});
