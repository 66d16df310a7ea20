/** `tandem run` as a person types it first, with little or nothing named, on every model that is made small: the whole model's answers, or a refusal. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { MODELS, makeModel } from '../../scripts/make-model.js';
import { ONNX_MODELS } from '../../scripts/make-onnx.js';
import type { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { FLOAT16, fromWord } from '../../src/rows/half-float.js';
import type { Tensor } from '../../src/tensor.js';
import * as onnx from '../fixtures/onnx-runs.js';
import { openRunnable } from '../fixtures/runnable.js';
import * as tfjs from '../fixtures/tfjs-runs.js';
import type { Opened } from '../fixtures/whole-model.js';
import { CommandSession } from './command-session.js';
import { assertFails, type Ended, start } from './tandem-process.js';

const ROWS = 24;
/** Models that take minutes to write or run. */
const LARGE = ['resnet-50', 'squeezenet', 'bert'];

const folder = onnx.temporaryFolder();
after(folder.remove);
const cwd = folder.path;
const CACHE = join(cwd, 'cache');

const stages = (count: number) => new Array<string[]>(count).fill(['--stage', 'cpu']).flat();

/** What is typed after the model, its rows and its output. */
const COMMANDS: readonly (readonly string[])[] = [
  [],
  ...[1, 2, 3, 4, 5].map(stages),
  ['--isolation', 'thread'],
  ['--isolation', 'process'],
  ['--micro-batch', '1'],
];
const FEW_COMMANDS = [[], stages(3), ['--micro-batch', '1']];

/** Each kind of model once has all commands, unless TEST_EVERYTHING gives them to every model (half an hour). */
const KINDS = [
  ...['ONNX mlp', 'ONNX two-in-two-out', 'ONNX control-flow', 'ONNX qdq', 'ONNX transformer', 'ONNX batch-second'],
  ...['TF.js residual-cnn', 'TF.js transformer-graph'],
];
const commandsFor = (name: string) =>
  KINDS.includes(name) || process.env.TEST_EVERYTHING !== undefined ? COMMANDS : FEW_COMMANDS;

interface Made {
  readonly graph: ModelGraph;
  readonly rows: string;
  /** The whole model's answers for each row alone, made by the engine without tandem: all outputs' numbers one after another. */
  readonly answers: readonly (readonly number[])[];
}

/**
 * As far as an answer may lie from the engine's own for the row alone, by its size: what another order of sums does to float32, and one step of
 * quantised values, which ORT rounds in another way where more rows come at once.
 */
const withinFor = (rows: string) => (/int[48]|qdq|tied/.test(rows) ? 0.025 : 1e-4);

/** Nothing is set but where the cache lies. */
const env = { XDG_CACHE_HOME: CACHE, TANDEM_PLAN: undefined };

/** Runs what a person types. */
function type(args: readonly string[], wrapper: readonly string[] = []): Promise<Ended> {
  const tandem = join(import.meta.dirname, '../../bundle/src/cli/tandem.js');
  const [program, ...rest] = [...wrapper, process.execPath, tandem, ...args];
  const { child, ended } = start(program!, rest, { cwd, env });
  child.stdin!.end();
  return ended;
}

type Run = (args: readonly string[]) => Promise<Ended>;

/** In processes that have run other commands before, of other models too; none runs two at once. */
const idle: CommandSession[] = [];
after(() => {
  for (const session of idle) session.close();
});

async function inSession(args: readonly string[]): Promise<Ended> {
  const session = idle.pop() ?? new CommandSession({ cwd, env });
  const ended = await session.run(args);
  idle.push(session);
  return ended;
}

/** TensorFlow's threads are set once for a process. */
const mayShare = (name: string, flags: readonly string[]) => !(name.startsWith('TF.js') && flags.includes('thread'));

/** Each kind of model is run once by the program itself. */
const runFor = (name: string, flags: readonly string[]): Run =>
  mayShare(name, flags) && !(KINDS.includes(name) && flags.length === 0) ? inSession : type;

let outputs = 0;

async function checkRun(made: Made, flags: readonly string[], run: Run): Promise<void> {
  const { graph, rows, answers } = made;
  const output = `${rows}-${++outputs}.jsonl`;
  const ended = await run(['run', graph.path, '--input', rows, '--output', output, ...flags]);
  const count = flags.filter((flag) => flag === '--stage').length;
  const places = graph.layers.slice(1).filter(({ from }) => !graph.forbiddenCuts.has(from)).length;
  if (count > places + 1) {
    assertFails(ended, { status: 2, code: 'TANDEM_LAYERS_INVALID', says: /stages/ });
    return;
  }
  assert.equal(ended.status, 0, ended.stderr);
  assert.doesNotMatch(ended.stderr, /TANDEM_|Warning|\n\s+at /);
  const lines = readFileSync(join(cwd, output), 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, ROWS);
  for (const [row, line] of lines.entries()) {
    const { outputs } = JSON.parse(line) as { outputs: unknown };
    const found = numbersIn(outputs);
    const expected = answers[row]!;
    assert.equal(found.length, expected.length, `row ${row}`);
    for (const [n, value] of found.entries()) {
      const off = Math.abs(value - expected[n]!);
      assert.ok(off <= withinFor(rows) * Math.max(1, Math.abs(expected[n]!)), `row ${row}, number ${n} is ${off} off`);
    }
  }
}

function numbersIn(value: unknown): number[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(numbersIn);
  return [Number(value)];
}

function valuesOf({ dtype, data }: Tensor): number[] {
  if (dtype === 'float16') return Array.from(data as Uint16Array, (word) => fromWord(word, FLOAT16));
  return Array.from(data as Float32Array, Number);
}

/** As a JSON line has it. */
function jsonOf({ dtype, shape, data }: Tensor): unknown {
  const values = valuesOf({ dtype, shape, data });
  return nested(dtype === 'bool' ? values.map(Boolean) : values, shape.slice(1));
}

function nested(values: readonly unknown[], [length, ...inner]: readonly number[]): unknown {
  if (length === undefined) return values[0];
  const step = values.length / length;
  return Array.from({ length }, (_, n) => nested(values.slice(n * step, (n + 1) * step), inner));
}

/** `feeds` of each row alone, and what the engine makes of it. */
async function madeOf(
  name: string,
  graph: ModelGraph,
  feedsOf: (row: number) => Tensor[],
  open: () => Promise<Opened>,
): Promise<Made> {
  const lines: string[] = [];
  const answers: number[][] = [];
  const whole = await open();
  for (let row = 0; row < ROWS; row++) {
    const feeds = feedsOf(row);
    const inputs = graph.inputs.map((input, n) => [input.name, jsonOf(feeds[n]!)]);
    lines.push(`${JSON.stringify({ inputs: Object.fromEntries(inputs) })}\n`);
    answers.push((await whole.run(feeds)).flatMap(valuesOf));
  }
  await whole.close();
  const rows = `${name}.jsonl`;
  writeFileSync(join(cwd, rows), lines.join(''));
  return { graph, rows, answers };
}

/** Their rows or outputs must be told or are refused by name, which other tests are about. */
const TOLD = ['strings', 'odd-weights', 'rankless'];

/** `null` where rows lie on another axis than the first, or an input is given once for all: rows-inside.test.ts and rows-given.test.ts are about these. */
async function madeOnnx(name: string): Promise<Made | null> {
  if (TOLD.includes(name)) return null;
  const graph = await openRunnable(onnx.made(cwd, name)).catch((error: TandemError) => {
    if (error.code === 'TANDEM_ROWS_AXIS') return null;
    throw error;
  });
  if (!graph || graph.fixedBatch !== null || hasOtherAxes(graph)) return null;
  return madeOf(
    `onnx-${name}`,
    graph,
    (row) => onnx.feedsOf(graph, 1, 5, row + 1),
    () => onnx.openWhole(graph),
  );
}

function hasOtherAxes({ inputs, inputRows }: ModelGraph): boolean {
  return (
    inputs.some(({ shape }) => shape.length === 0) || [...(inputRows?.values() ?? [])].some(({ axis }) => axis !== 0)
  );
}

async function madeTfjs(name: string): Promise<Made> {
  const graph = await openRunnable(await makeModel(name, join(cwd, `tfjs-${name}`)));
  return madeOf(
    `tfjs-${name}`,
    graph,
    (row) => tfjs.feedsOf(graph, 1, row + 1),
    () => tfjs.openWhole(tfjs.tensorflow.tf!, graph),
  );
}

/** `tandem run` has no rows for them: lengths of mask and cache depend on each other. `tandem generate` runs them: see test/decoder. */
const DECODERS = ['decoder-concat', 'decoder-in-place'];
const ONNX = Object.keys(ONNX_MODELS).filter((name) => !LARGE.includes(name) && !DECODERS.includes(name));

before(() => mkdirSync(CACHE, { recursive: true }));

type Row = [name: string, skip: string | false, make: () => Promise<Made | null>];
const TABLE: readonly Row[] = [
  ...ONNX.map((name): Row => [`ONNX ${name}`, false, () => madeOnnx(name)]),
  ...Object.keys(MODELS).map((name): Row => [`TF.js ${name}`, tfjs.tensorflow.skip, () => madeTfjs(name)]),
];
/** One of each engine, for what need not be tried with all. */
const FEW = TABLE.filter(([name]) => name === 'ONNX transformer' || name === 'TF.js residual-cnn');

suite('nothing or little is named', { concurrency: 2 }, () => {
  for (const [name, skip, make] of TABLE) {
    test(name, { skip }, async (t) => {
      const made = await make();
      if (!made) return t.skip('its rows must be told: see rows-given.test.ts and rows-inside.test.ts');
      for (const flags of commandsFor(name)) {
        await t.test(flags.join(' ') || 'no flags', () => checkRun(made, flags, runFor(name, flags)));
      }
    });
  }
});

const noTaskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0 ? false : 'there is no taskset here';

suite('the process may use one core', () => {
  for (const [name, skip, make] of FEW) {
    test(name, { skip: skip || noTaskset }, async () => {
      const made = (await make())!;
      const onOne = (args: readonly string[]) => type(args, ['taskset', '-c', '0']);
      for (const flags of [[], stages(3)]) await checkRun(made, flags, onOne);
    });
  }
});

suite('other work keeps all cores busy', () => {
  for (const [name, skip, make] of FEW) {
    test(name, { skip }, async (t) => {
      const made = (await make())!;
      const others = Array.from({ length: availableParallelism() }, () =>
        spawn(process.execPath, ['-e', 'process.stdout.write("."); for (;;);'], {
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      );
      t.after(() => {
        for (const other of others) other.kill('SIGKILL');
      });
      for (const other of others) await once(other.stdout, 'data');
      for (const flags of [[], stages(2)]) await checkRun(made, flags, type);
    });
  }
});
