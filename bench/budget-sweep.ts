/** Bench: the same job under ever smaller budgets of its first stage. What was promised, what each stage's process really held, and where it is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatRate } from '../src/cli/progress.js';
import { formatTable } from '../src/cli/table.js';
import type { Summary } from '../src/job/summary.js';
import { openModel } from '../src/model/open.js';
import type { Plan } from '../src/plan/plan.js';
import { tandem, zeroInputs } from './zero-run.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '20' },
    stages: { type: 'string', default: '2' },
    /** The budget is that of every stage. */
    all: { type: 'boolean', default: false },
    /** Of dimensions that the model leaves open. */
    free: { type: 'string', default: '128' },
    rows: { type: 'string', default: '256' },
    'micro-batch': { type: 'string' },
    json: { type: 'string' },
  },
});

const MEBI = 2 ** 20;
/** The pace of two trials of one plan differs by less. */
const NOISE = 0.05;

interface Step {
  /** Bytes. */
  readonly budget: number;
  readonly status: number;
  readonly plan?: Plan;
  readonly summary?: Summary;
  /** What is said to be enough, where it is refused. */
  readonly wouldDo?: number;
}

for (const path of positionals) await sweep(path);

async function sweep(model: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  try {
    const graph = await openModel(model);
    const inputs = zeroInputs(folder, graph, Number(flags.rows), Number(flags.free));
    const step = (budget: number) => run(model, folder, inputs, budget);
    const generous = step(1 << 20);
    const most =
      1.15 * Math.max(...generous.plan!.expected!.stages.filter((_, j) => isLimited(j)).map(({ bytes }) => bytes));
    const count = Number(flags.steps);
    const steps = Array.from({ length: count }, (_, n) => step(Math.ceil((most * (count - n)) / count / MEBI)));
    const wouldDo = Math.max(...steps.map((each) => each.wouldDo ?? 0));
    if (wouldDo > 0) steps.push(step(wouldDo), step(wouldDo - 1));
    report(model, steps);
    if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ model, steps }, null, 2)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isLimited(stage: number): boolean {
  return flags.all || stage === 0;
}

/** Plans and runs with so many MiB; what was measured is kept from step to step. */
function run(model: string, folder: string, inputs: readonly string[], mebibytes: number): Step {
  const plan = join(folder, 'plan.json');
  const stages = Array.from({ length: Number(flags.stages) }, (_, j) => [
    '--stage',
    `cpu,threads=1,memory=${isLimited(j) ? mebibytes : 1 << 20}MiB`,
  ]);
  const size = flags['micro-batch'] ? ['--micro-batch', flags['micro-batch']] : [];
  const asked = [...inputs, ...stages.flat(), ...size, '--json'];
  const budget = mebibytes * MEBI;
  const planned = tandem(folder, ['plan', model, ...asked, '--output', plan]);
  if (planned.status !== 0) {
    if (planned.status !== 78) process.stderr.write(planned.stderr);
    const wouldDo = /memory=(\d+)MiB/.exec(planned.stderr)?.[1];
    return { budget, status: planned.status!, wouldDo: wouldDo ? Number(wouldDo) : undefined };
  }
  const output = join(folder, 'out.npz');
  const ran = tandem(folder, ['run', model, ...inputs, '--plan', plan, '-o', output, '--force', '--json', '--quiet']);
  const summary = ran.status === 0 ? (JSON.parse(ran.stdout) as Summary) : undefined;
  if (!summary) process.stderr.write(ran.stderr);
  return { budget, status: ran.status!, plan: JSON.parse(planned.stdout), summary };
}

function report(model: string, steps: readonly Step[]): void {
  const titles = [
    'budget',
    'exit',
    'layers',
    'batch',
    'rows/s foreseen',
    'rows/s',
    'promised MiB',
    'held MiB',
    'would do',
  ];
  const mebi = (bytes: number) => String(Math.ceil(bytes / MEBI));
  const rows = steps.map(({ budget, status, plan, summary, wouldDo }) => [
    mebi(budget),
    String(status),
    plan?.stages.map(({ layers }) => `${layers.from}..${layers.to}`).join(' ') ?? '',
    plan ? String(plan.microBatch) : '',
    plan ? formatRate(plan.expected!.rowsPerSecond) : '',
    summary ? formatRate(summary.predicted.rowsPerSecond) : '',
    plan?.expected?.stages.map(({ bytes }) => mebi(bytes)).join(' ') ?? '',
    summary?.stages.map(({ peakRssBytes }) => mebi(peakRssBytes!)).join(' ') ?? '',
    wouldDo ? `${wouldDo} MiB` : '',
  ]);
  process.stdout.write(
    `${model}\n${formatTable(
      titles.map((title) => ({ title, right: true })),
      rows,
    )}\n`,
  );
  const falling = [...steps].sort((a, b) => b.budget - a.budget);
  const pace = ({ plan }: Step) => plan?.expected?.rowsPerSecond ?? 0;
  const told = (claim: string, holds: boolean) =>
    process.stdout.write(`${holds ? 'holds' : 'DOES NOT HOLD'}: ${claim}\n`);
  told(
    'no stage ever held more than its budget',
    steps.every(
      ({ budget, summary }) =>
        summary?.stages.every(({ peakRssBytes }, j) => !isLimited(j) || peakRssBytes! <= budget) ?? true,
    ),
  );
  told(
    'no plan is better than one with more memory, but for the noise of its trial',
    falling.every((each, n) => falling.slice(0, n).every((before) => pace(each) <= pace(before) * (1 + NOISE))),
  );
  const least = Math.min(...steps.filter(({ status }) => status === 0).map(({ budget }) => budget));
  told(
    'every run ends with 0 or is refused with 78',
    steps.every(({ status }) => status === 0 || status === 78),
  );
  told(
    'exactly those below some budget are refused',
    steps.every(({ status, budget }) => (status === 78) === budget < least),
  );
}
