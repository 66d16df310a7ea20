/** Bench: the planned cut against every cut that could be better, tried one after another; how true the plan's promise was; how long planning took. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import type { Summary } from '../src/job/summary.js';
import { isLegalCut } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { Rehearsal } from '../src/pipeline/rehearsal.js';
import { settlePlan } from '../src/pipeline/settle-plan.js';
import { makePlan } from '../src/plan/make-plan.js';
import { median } from '../src/plan/median.js';
import type { Plan, StageOptions } from '../src/plan/plan.js';
import { writePlanFile } from '../src/plan/plan-file.js';
import { stageAlone } from './plan-search/alone.js';
import { judgeCuts } from './plan-search/bound.js';
import { bestCut, cutsLeft, type Found, plannedCut, shareOf } from './plan-search/found.js';
import { tandem, zeroInputs } from './zero-run.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many times slower the second device is; 1 is a second CPU device like the first. */
    slower: { type: 'string', multiple: true, default: ['1'] },
    /** Of dimensions that the model leaves open. */
    free: { type: 'string', default: '128' },
    /** A cut is not watched where a stage of it, by itself, is slower than the planned pipeline by more than this share; `Infinity` watches all. */
    margin: { type: 'string', default: '0.1' },
    repetitions: { type: 'string', default: '3' },
    /** Of steady work that each look watches. */
    watched: { type: 'string', default: '1' },
    /** Of the real run that the plan's promise is held against. */
    run: { type: 'string', default: '10' },
    /** That the command may take, all in all; what is left is done by the same command again. */
    seconds: { type: 'string', default: 'Infinity' },
    /** Keeps what was found from command to command. */
    json: { type: 'string' },
    /** Only prints what was found. */
    table: { type: 'boolean', default: false },
  },
});

const until = performance.now() / 1e3 + Number(flags.seconds);
const DEADLINE = 600_000;
const SETTINGS = { allowFallback: false, deadline: DEADLINE };

process.env.TANDEM_ENGINE_MODULE = new URL('../test/fixtures/slow-engine.js', import.meta.url).href;
// The engine behind the slow one cannot be told its threads.
process.env.TF_NUM_INTRAOP_THREADS = '1';
process.env.TF_NUM_INTEROP_THREADS = '1';
process.env.TF_CPP_MIN_LOG_LEVEL = '2';

const kept: Found[] = flags.json && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : [];
for (const path of flags.table ? [] : positionals)
  for (const slower of flags.slower) await search(path, Number(slower));
report();

async function search(path: string, slower: number): Promise<void> {
  const graph = await openModel(path);
  const provider = slower === 1 ? undefined : 'custom';
  const second = slower === 1 ? 'cpu' : `cpu:${slower}`;
  const stages: StageOptions[] = [
    { device: 'cpu', threads: 1, provider },
    { device: second, threads: 1, provider },
  ];
  let found = kept.find((each) => each.model === path && each.slower === slower);
  if (!found) {
    found = { model: path, slower, own: [], shares: {}, judged: {}, ...(await plan(graph, stages)) };
    kept.push(found);
    save();
  }
  await look(graph, found, stages);
}

function rowSpecsOf(graph: ModelGraph) {
  return graph.inputs.map((input) => ({
    ...input,
    shape: input.shape.slice(1).map((dim) => dim ?? Number(flags.free)),
  }));
}

/** Planned twice, and run once. */
async function plan(graph: ModelGraph, stages: readonly StageOptions[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  process.env.XDG_CACHE_HOME = folder;
  try {
    const settle = () => settlePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), isolation: 'process', ...SETTINGS });
    const [plan, coldSeconds] = await timed(settle);
    const [, cachedSeconds] = await timed(settle);
    const cuts = graph.layers.filter(({ index, from }) => index > 0 && isLegalCut(graph, from));
    const { rowsPerSecond, planned: promise } = run(folder, graph, plan);
    return {
      plan,
      coldSeconds,
      cachedSeconds,
      cuts: cuts.map(({ index }) => index),
      ran: rowsPerSecond,
      promised: promise!.rowsPerSecond,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(folder: string, graph: ModelGraph, plan: Plan): Summary {
  const { microBatch, expected } = plan;
  const microBatches = Math.ceil((Number(flags.run) * expected!.rowsPerSecond) / microBatch);
  const inputs = zeroInputs(folder, graph, microBatches * microBatch, Number(flags.free));
  const file = join(folder, 'plan.json');
  writePlanFile(file, graph, plan);
  const output = ['--output', join(folder, 'out.npz')];
  const ran = tandem(folder, ['run', graph.path, ...inputs, '--plan', file, ...output, '--json', '--quiet']);
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
}

/** Each cut beside the planned one, because the machine changes its speed from minute to minute. */
async function look(graph: ModelGraph, found: Found, stages: readonly StageOptions[]): Promise<void> {
  const { microBatch, depth, expected } = found.plan;
  const rowSpecs = rowSpecsOf(graph);
  const watch = async (rehearsal: Rehearsal) => (await rehearsal.watch(Number(flags.watched))).rowsPerSecond;
  const open = async (k: number) => {
    const layers = [
      { from: 0, to: k - 1 },
      { from: k, to: graph.layers.length - 1 },
    ];
    const named = stages.map((stage, j) => ({ ...stage, layers: layers[j]! }));
    const request = { stages: named, microBatch, depth, isolation: 'process', rowSpecs, deadline: DEADLINE } as const;
    const rehearsal = await Rehearsal.open(
      graph,
      { ...(await makePlan(graph, request)), expected },
      rowSpecs,
      SETTINGS,
    );
    // Slower than all that follow: memory is touched for the first time.
    await watch(rehearsal);
    return rehearsal;
  };
  let longest = 0;
  const timeLeft = () => until - performance.now() / 1e3;
  const next = () => cutsLeft(found, Number(flags.repetitions))[0];
  if (next() === undefined) return;
  const ours = await open(plannedCut(found));
  const judged = await judge(graph, found, microBatch / (await watch(ours)), timeLeft);
  for (let k = judged ? next() : undefined; k !== undefined && timeLeft() > longest; k = next()) {
    const start = timeLeft();
    const theirs = await open(k);
    const before = await watch(ours);
    const rate = await watch(theirs);
    const after = await watch(ours);
    await theirs.close();
    found.own.push(before, after);
    found.shares[k] = [...(found.shares[k] ?? []), (2 * rate) / (before + after)];
    save();
    longest = Math.max(longest, start - timeLeft());
    const share = found.shares[k]!.at(-1)!.toFixed(3);
    process.stderr.write(`cut before ${k}: ${rate.toPrecision(4)} rows/s, ${share} of the planned\n`);
  }
  await ours.close();
  const left = cutsLeft(found, Number(flags.repetitions)).length;
  if (left > 0 || !judged) process.stderr.write(`no time for ${left} more; the same command goes on\n`);
}

/** Finds the cuts that cannot be the best; false when the time is up before all are judged. */
async function judge(graph: ModelGraph, found: Found, interval: number, timeLeft: () => number): Promise<boolean> {
  const margin = Number(flags.margin);
  const { cuts, judged } = found;
  const left = cuts.some((cut) => cut !== plannedCut(found) && judged[cut] === undefined);
  if (margin === Number.POSITIVE_INFINITY || !left) return true;
  const alone = await stageAlone(graph, found.plan, rowSpecsOf(graph));
  let longest = 0;
  let before = timeLeft();
  const proceed = () => {
    save();
    longest = Math.max(longest, before - timeLeft());
    before = timeLeft();
    return before > longest;
  };
  const all = await judgeCuts({ cuts, planned: plannedCut(found), margin, interval, alone }, judged, proceed);
  save();
  return all;
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await work(), (performance.now() - start) / 1e3];
}

function save(): void {
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(kept, null, 2)}\n`);
}

function report(): void {
  const titles = [
    'model',
    'second device',
    'batch',
    'planned cut',
    'best cut',
    'watched',
    'excluded',
    'of cuts',
    'rows/s',
    'of best',
  ];
  const more = ['promise', 'of the run', 'cold s', 'cached s'];
  const rows = kept.map((found) => [
    found.model,
    found.slower === 1 ? 'as the first' : `${found.slower} x slower`,
    String(found.plan.microBatch),
    String(plannedCut(found)),
    String(bestCut(found)),
    String(1 + Object.keys(found.shares).length),
    String(Object.values(found.judged).filter((why) => why !== null).length),
    String(found.cuts.length),
    // Where no other cut had to be watched, what the run told.
    (found.own.length > 0 ? median(found.own) : found.ran).toPrecision(4),
    (1 / shareOf(found, bestCut(found))).toFixed(3),
    found.promised.toPrecision(4),
    `${((found.promised / found.ran - 1) * 100).toFixed(1)} %`,
    found.coldSeconds.toFixed(1),
    found.cachedSeconds.toFixed(2),
  ]);
  const columns = [...titles, ...more].map((title, c) => ({ title, right: c > 1 }));
  const bounds = kept.flatMap((found) => formatBounds(found));
  process.stdout.write(`${[formatTable(columns, rows), ...bounds].join('\n')}\n`);
}

/** Why cuts were left out, a line for each stage that was too slow. */
function formatBounds({ model, slower, judged }: Found): string[] {
  const entries = Object.entries(judged).flatMap(([cut, why]) => (why ? [[cut, why] as const] : []));
  return [0, 1].flatMap((stage) => {
    const own = entries.filter(([, why]) => why.stage === stage);
    const [, why] = own[0] ?? [];
    if (!why) return [];
    const cuts = own.map(([cut]) => Number(cut)).sort((a, b) => a - b);
    const [alone, planned] = [why.alone, why.planned].map((seconds) => (seconds * 1e3).toPrecision(3));
    return [
      `${model}, ${slower} x: cut before ${[...new Set([cuts[0], cuts.at(-1)])].join(' to ')} stage ${stage} takes ${alone} ms or more by itself, and the planned pipeline ${planned} ms`,
    ];
  });
}
