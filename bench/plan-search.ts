/**
 * Bench: the planned cut against every cut that could be better; how true the plan's promise was; how long planning took. The cuts that a bound does
 * not exclude are looked at once each beside the planned one; those that looked best are then watched in turn with it, and these fresh looks alone
 * decide: the luckiest of twenty looks is no best cut.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { ENGINES, engineFor } from '../src/engine/registry.js';
import type { Summary } from '../src/job/summary.js';
import { isLegalCut } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { settlePlan } from '../src/pipeline/settle-plan.js';
import { cacheFolder } from '../src/plan/cache-folder.js';
import { median } from '../src/plan/median.js';
import type { Plan, StageOptions } from '../src/plan/plan.js';
import { writePlanFile } from '../src/plan/plan-file.js';
import { SETTINGS, searchCuts } from './plan-search/beside.js';
import { type Found, finalists, isDone, plannedCut, verdictOf } from './plan-search/found.js';
import { tandem, zeroInputs } from './zero-run.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many times slower the second device is; 1 is a second CPU device like the first. */
    slower: { type: 'string', multiple: true, default: ['1'] },
    /** Of dimensions that the model leaves open. */
    free: { type: 'string', default: '128' },
    /** A cut is left out where a stage of it, by itself, is slower than the planned pipeline by more than this share; `Infinity` leaves out none. */
    margin: { type: 'string', default: '0.1' },
    /** Turns of those that looked best and of the planned cut. */
    repetitions: { type: 'string', default: '9' },
    /** Of steady work in each look, or of as few micro-batches as can be told apart. */
    watched: { type: 'string', default: '1' },
    /** Of each real run that the plan's promise is held against. */
    run: { type: 'string', default: '10' },
    /** Trials of the plan and runs after them, in turn: what a machine does differs from one to the next. */
    runs: { type: 'string', default: '5' },
    /** That the command may take, all in all; what is left is done by the same command again. */
    seconds: { type: 'string', default: 'Infinity' },
    /** Keeps what was found from command to command. */
    json: { type: 'string' },
    /** Only prints what was found. */
    table: { type: 'boolean', default: false },
  },
});

const until = performance.now() / 1e3 + Number(flags.seconds);

process.env.TANDEM_ENGINE_MODULE = new URL('../test/fixtures/slow-engine.js', import.meta.url).href;

const kept: Found[] = flags.json && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : [];
for (const path of flags.table ? [] : positionals)
  for (const slower of flags.slower) await search(path, Number(slower));
report();

async function search(path: string, slower: number): Promise<void> {
  const graph = await openModel(path);
  // The engine behind the slow one cannot be told of these.
  Object.assign(process.env, ENGINES[engineFor(graph.format)].environment(1, { kind: 'cpu', index: 0 }));
  const provider = slower === 1 ? undefined : 'custom';
  const second = slower === 1 ? 'cpu' : `cpu:${slower}`;
  const stages: StageOptions[] = [
    { device: 'cpu', threads: 1, provider },
    { device: second, threads: 1, provider },
  ];
  let found = kept.find((each) => each.model === path && each.slower === slower);
  if (!found) {
    found = { model: path, slower, judged: {}, looks: {}, contest: {}, ...(await plan(graph, stages)) };
    kept.push(found);
    save();
  }
  const options = {
    stages,
    rowSpecs: rowSpecsOf(graph),
    margin: Number(flags.margin),
    turns: Number(flags.repetitions),
  };
  const all = await searchCuts(graph, found, { ...options, watched: Number(flags.watched), proceed: proceedUntil() });
  if (!all) process.stderr.write('no time for all; the same command goes on\n');
}

/** Whether there is time for a step as long as the longest so far; keeps what was found by then. */
function proceedUntil(): () => boolean {
  let longest = 0;
  let before = performance.now() / 1e3;
  return () => {
    save();
    const now = performance.now() / 1e3;
    longest = Math.max(longest, now - before);
    before = now;
    return until - now > longest;
  };
}

function rowSpecsOf(graph: ModelGraph) {
  return graph.inputs.map((input) => ({
    ...input,
    shape: input.shape.slice(1).map((dim) => dim ?? Number(flags.free)),
  }));
}

/** Planned twice, then run, and tried and run again. */
async function plan(graph: ModelGraph, stages: readonly StageOptions[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  process.env.XDG_CACHE_HOME = folder;
  try {
    const settle = () => settlePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), isolation: 'process', ...SETTINGS });
    const [plan, coldSeconds] = await timed(settle);
    const [, cachedSeconds] = await timed(settle);
    const cuts = graph.layers.filter(({ index, from }) => index > 0 && isLegalCut(graph, from));
    const runs = [run(folder, graph, plan)];
    while (runs.length < Number(flags.runs)) {
      // What was measured is kept, so that only the trial comes again.
      rmSync(join(cacheFolder(), 'plans'), { recursive: true });
      runs.push(run(folder, graph, await settle()));
    }
    return {
      plan,
      coldSeconds,
      cachedSeconds,
      cuts: cuts.map(({ index }) => index),
      runs: runs.map(({ rowsPerSecond, planned }) => ({ promised: planned!.rowsPerSecond, ran: rowsPerSecond })),
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
  const output = ['--output', join(folder, 'out.npz'), '--force'];
  const ran = tandem(folder, ['run', graph.path, ...inputs, '--plan', file, ...output, '--json', '--quiet']);
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
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
    'of cuts',
    'excluded',
    'looked at',
    'in turn',
    'fastest',
  ];
  const more = ['of it', 'at 95 %', 'rows/s', 'promised', 'off by', 'each time', 'cold s', 'cached s'];
  const rows = kept.map((found) => {
    const verdict = verdictOf(found);
    const [ran, promised] = [
      median(found.runs.map(({ ran }) => ran)),
      median(found.runs.map(({ promised }) => promised)),
    ];
    const errors = found.runs.map(({ ran, promised }) => promised / ran - 1);
    const done = isDone(found, Number(flags.repetitions));
    return [
      found.model,
      found.slower === 1 ? 'as the first' : `${found.slower} x slower`,
      String(found.plan.microBatch),
      String(plannedCut(found)),
      String(found.cuts.length),
      String(Object.values(found.judged).filter((why) => why !== null).length),
      String(Object.keys(found.looks).length),
      String(finalists(found).length),
      done ? String(!verdict || verdict.share.median >= 1 ? plannedCut(found) : verdict.fastest) : 'not done',
      done ? Math.min(1, verdict?.share.median ?? 1).toFixed(3) : '',
      verdict ? `${verdict.share.low.toFixed(2)} … ${verdict.share.high.toFixed(2)}` : '',
      ran.toPrecision(4),
      promised.toPrecision(4),
      percent(promised / ran - 1),
      `${percent(Math.min(...errors))} … ${percent(Math.max(...errors))}`,
      found.coldSeconds.toFixed(1),
      found.cachedSeconds.toFixed(2),
    ];
  });
  const columns = [...titles, ...more].map((title, c) => ({ title, right: c > 1 }));
  const bounds = kept.flatMap((found) => formatBounds(found));
  process.stdout.write(`${[formatTable(columns, rows), ...bounds].join('\n')}\n`);
}

function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`;
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
