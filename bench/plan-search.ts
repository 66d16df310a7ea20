/** Bench: the planned cut against every cut, tried one after another; how true the plan's promise was; how long planning took. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { isLegalCut } from '../src/model/cut.js';
import type { ModelGraph } from '../src/model/graph.js';
import { openModel } from '../src/model/open.js';
import { Rehearsal } from '../src/pipeline/rehearsal.js';
import { settlePlan } from '../src/pipeline/settle-plan.js';
import { makePlan } from '../src/plan/make-plan.js';
import { median } from '../src/plan/median.js';
import type { Plan, StageOptions } from '../src/plan/plan.js';
import type { TensorSpec } from '../src/tensor.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many times slower the second device is; 1 is a second CPU device like the first. */
    slower: { type: 'string', multiple: true, default: ['1'] },
    /** Of dimensions that the model leaves open. */
    free: { type: 'string', default: '128' },
    /** Cuts whose share of the counted work lies further than this from the planned one's are not tried. */
    within: { type: 'string', default: '1' },
    repetitions: { type: 'string', default: '3' },
    /** Of steady work that each look watches. */
    seconds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});

const DEADLINE = 600_000;
const SETTINGS = { allowFallback: false, deadline: DEADLINE };
/** The best ones of the first round are tried again, in turn with the planned one. */
const FINALISTS = 3;

interface Result {
  readonly model: string;
  readonly slower: number;
  readonly microBatch: number;
  readonly planned: number;
  readonly best: number;
  readonly cuts: number;
  readonly rowsPerSecond: number;
  /** Of what the best cut does, measured beside it. */
  readonly share: number;
  /** Of the planned cut, right after the planning. */
  readonly firstRowsPerSecond: number;
  readonly promised: number;
  readonly coldSeconds: number;
  readonly cachedSeconds: number;
}

process.env.TANDEM_ENGINE_MODULE = new URL('../test/fixtures/slow-engine.js', import.meta.url).href;
// The engine behind the slow one cannot be told its threads.
process.env.TF_NUM_INTRAOP_THREADS = '1';
process.env.TF_NUM_INTEROP_THREADS = '1';
process.env.TF_CPP_MIN_LOG_LEVEL = '2';

const results: Result[] = [];
for (const path of positionals) for (const slower of flags.slower) results.push(await search(path, Number(slower)));
report(results);

async function search(path: string, slower: number): Promise<Result> {
  const cache = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  process.env.XDG_CACHE_HOME = cache;
  try {
    const graph = await openModel(path);
    const rowSpecs = graph.inputs.map((input) => ({
      ...input,
      shape: input.shape.slice(1).map((dim) => dim ?? Number(flags.free)),
    }));
    const provider = slower === 1 ? undefined : 'custom';
    const stages: StageOptions[] = [
      { device: 'cpu', threads: 1, provider },
      { device: slower === 1 ? 'cpu' : `cpu:${slower}`, threads: 1, provider },
    ];
    const settle = () => settlePlan(graph, { stages, rowSpecs, isolation: 'process', ...SETTINGS });
    const [plan, coldSeconds] = await timed(settle);
    const [, cachedSeconds] = await timed(settle);
    return { ...(await compare(graph, plan, stages, rowSpecs)), model: path, slower, coldSeconds, cachedSeconds };
  } finally {
    rmSync(cache, { recursive: true });
  }
}

async function compare(
  graph: ModelGraph,
  plan: Plan,
  stages: readonly StageOptions[],
  rowSpecs: readonly TensorSpec[],
) {
  const { microBatch, depth } = plan;
  const planned = plan.stages[1]!.layers.from;
  const { length } = graph.layers;
  const cuts = graph.layers
    .map(({ index }) => index)
    .filter((k) => isLegalCut(graph, graph.layers[k]!.from) && Math.abs(k - planned) / length <= Number(flags.within));
  const planFor = (k: number) =>
    makePlan(graph, {
      stages: [
        { ...stages[0]!, layers: { from: 0, to: k - 1 } },
        { ...stages[1]!, layers: { from: k, to: length - 1 } },
      ],
      microBatch,
      depth,
      isolation: 'process',
      rowSpecs,
      deadline: DEADLINE,
    });
  const open = async (k: number) => {
    const rehearsal = await Rehearsal.open(
      graph,
      { ...(await planFor(k)), expected: plan.expected },
      rowSpecs,
      SETTINGS,
    );
    // Slower than all that follow: memory is touched for the first time.
    await watch(rehearsal);
    return rehearsal;
  };
  const watch = async (rehearsal: Rehearsal) => (await rehearsal.watch(Number(flags.seconds))).rowsPerSecond;
  const ours = await open(planned);
  // The promise is of now.
  const own = [await watch(ours)];
  // Each cut beside the planned one, because the machine changes its speed from minute to minute.
  const shares = new Map<number, number[]>();
  const look = async (k: number) => {
    const theirs = await open(k);
    const before = await watch(ours);
    const rate = await watch(theirs);
    const after = await watch(ours);
    await theirs.close();
    own.push(before, after);
    shares.set(k, [...(shares.get(k) ?? []), (2 * rate) / (before + after)]);
    process.stderr.write(
      `cut before ${k}: ${rate.toPrecision(4)} rows/s, ${shares.get(k)!.at(-1)!.toFixed(3)} of the planned\n`,
    );
  };
  for (const k of cuts) if (k !== planned) await look(k);
  const share = (k: number) => (k === planned ? 1 : median(shares.get(k)!));
  const finalists = cuts.toSorted((a, b) => share(b) - share(a)).slice(0, FINALISTS);
  for (let repetition = 1; repetition < Number(flags.repetitions); repetition++)
    for (const k of finalists) if (k !== planned) await look(k);
  const best = finalists.reduce((a, b) => (share(b) > share(a) ? b : a), planned);
  await ours.close();
  return {
    microBatch,
    planned,
    best,
    cuts: cuts.length,
    rowsPerSecond: median(own),
    share: 1 / share(best),
    firstRowsPerSecond: own[0]!,
    promised: plan.expected!.rowsPerSecond,
  };
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await work(), (performance.now() - start) / 1e3];
}

function report(all: readonly Result[]): void {
  const titles = [
    'model',
    'second device',
    'batch',
    'planned cut',
    'best cut',
    'of cuts',
    'rows/s',
    'of best',
    'promise',
    'cold s',
    'cached s',
  ];
  const rows = all.map((result) => [
    result.model,
    result.slower === 1 ? 'as the first' : `${result.slower} x slower`,
    String(result.microBatch),
    String(result.planned),
    String(result.best),
    String(result.cuts),
    result.rowsPerSecond.toPrecision(4),
    result.share.toFixed(3),
    `${((result.promised / result.firstRowsPerSecond - 1) * 100).toFixed(1)} %`,
    result.coldSeconds.toFixed(1),
    result.cachedSeconds.toFixed(2),
  ]);
  const columns = titles.map((title, c) => ({ title, right: c > 1 }));
  process.stdout.write(`${formatTable(columns, rows)}\n`);
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(all, null, 2)}\n`);
}
