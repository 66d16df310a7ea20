/** A child process that opens, cuts and runs one damaged model after another, and reports each to the parent. It may crash. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { seeded, seededValues } from '../../src/prove/models/seeded.js';
import { mutate } from './mutate.js';

/** The result of one damaged model: `ran`, `too large to feed`, or an error code. */
export interface Report {
  readonly seed: number;
  readonly model: string;
  readonly what: string;
  readonly result: string;
  /** A fault, if there was one. */
  readonly wrong: string | null;
}

const ELEMENTS = 1e6;
const CPU = { provider: 'cpu', threads: 1 } as const;

/** Opened files; a model may open only files in its own folder. */
const opened: string[] = [];
const openSync = fs.openSync;
fs.openSync = ((path: fs.PathLike, ...rest: [fs.OpenMode, fs.Mode?]) => {
  opened.push(resolve(String(path)));
  return openSync(path, ...rest);
}) as typeof fs.openSync;
syncBuiltinESMExports();

const { onnxruntime } = await import('../../src/engine/onnxruntime/onnxruntime.js');
const { readRunnable } = await import('../../src/engine/runnable.js');
const { TandemError } = await import('../../src/errors.js');
const { legalCuts } = await import('../../src/model/cut.js');
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
  const graph = await readRunnable(file);
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
