/**
 * Bench: the planned cut against every cut that could be better, the error of the plan's prediction, and the time of planning. Cuts that a
 * bound does not exclude are measured once each, loaded together with the planned one. The best of these are then measured interleaved with
 * it, and only these new measurements decide: the luckiest of twenty single measurements is not the best cut.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { engineOf } from '../src/engine/choose.js';
import type { Summary } from '../src/job/summary.js';
import { cacheFolder } from '../src/machine/cache-folder.js';
import { isLegalCut } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import type { Plan } from '../src/plan/plan.js';
import { writePlanFile } from '../src/plan/plan-file.js';
import type { StageOptions } from '../src/plan/stage-options.js';
import { median } from '../src/planner/measure/median.js';
import { settlePlan } from '../src/planner/settle.js';
import { comparisonOf, type Found, finalists, isDone, plannedCut } from './plan-search/found.js';
import { SETTINGS, searchCuts } from './plan-search/same-moment.js';
import { tandem, zeroInputs } from './zero-run.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many times slower the second device is; 1 is a second CPU device like the first. */
    slower: { type: 'string', multiple: true, default: ['1'] },
    /** The size of dimensions that the model leaves open. */
    free: { type: 'string', default: '128' },
    /** A cut is excluded if one of its stages alone is slower than the planned pipeline by more than this share; `Infinity` excludes none. */
    margin: { type: 'string', default: '0.1' },
    /** Interleaved rounds of the best cuts and the planned one. */
    repetitions: { type: 'string', default: '9' },
    /** Seconds of the steady state in each measurement, or as few micro-batches as can be distinguished. */
    watched: { type: 'string', default: '1' },
    /** Seconds of each real run with which the prediction is compared. */
    run: { type: 'string', default: '10' },
    /** How often the plan is tried and run, interleaved, because a machine's speed changes. */
    runs: { type: 'string', default: '5' },
    /** Seconds that the command may take. The same command again does the rest. */
    seconds: { type: 'string', default: 'Infinity' },
    /** File that keeps the results between commands. */
    json: { type: 'string' },
    /** Only print the kept results. */
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
  // These settings cannot be passed to the engine behind the slow device.
  Object.assign(process.env, engineOf(graph, 'cpu').environment(1, { kind: 'cpu', index: 0 }));
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
  if (!all) process.stderr.write('no time for all; the same command continues\n');
}

/** Whether there is time for a step as long as the longest so far. Saves the results. */
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

/** Plans twice, then runs, and tries and runs again. */
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
      // The measurements are kept, so that only the trial is repeated.
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
    'interleaved',
    'fastest',
  ];
  const more = ['of it', 'at 95 %', 'rows/s', 'promised', 'off by', 'each time', 'cold s', 'cached s'];
  const rows = kept.map((found) => {
    const comparison = comparisonOf(found);
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
      done ? String(!comparison || comparison.share.median >= 1 ? plannedCut(found) : comparison.fastest) : 'not done',
      done ? Math.min(1, comparison?.share.median ?? 1).toFixed(3) : '',
      comparison ? `${comparison.share.low.toFixed(2)} … ${comparison.share.high.toFixed(2)}` : '',
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

/** Why cuts were excluded: a line for each stage that was too slow. */
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
