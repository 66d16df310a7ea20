/** Bench: the same job under ever smaller budgets of its first stage. What was promised, what each stage's process really held, and where it is refused. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatRate } from '../src/cli/progress.js';
import { formatTable } from '../src/cli/table.js';
import type { Summary } from '../src/job/summary.js';
import { openModel } from '../src/model/open.js';
import type { Plan } from '../src/plan/plan.js';
import { median } from '../src/planner/measure/median.js';
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
    /** That the command may take; what is left is done by the same command again. */
    seconds: { type: 'string', default: 'Infinity' },
    /** Keeps what was found from command to command; measurements are kept in a folder next to it. */
    json: { type: 'string' },
    /** Only prints what was found. */
    table: { type: 'boolean', default: false },
  },
});

const MEBI = 2 ** 20;
/** Two runs of one plan differ by less. */
const NOISE = 0.05;
const until = performance.now() / 1e3 + Number(flags.seconds);

interface Step {
  /** Bytes. */
  readonly budget: number;
  readonly status: number;
  readonly plan?: Plan;
  readonly summary?: Summary;
  /** What is said to be enough, where it is refused. */
  readonly wouldDo?: number;
}

interface Sweep {
  readonly model: string;
  readonly steps: Step[];
}

const kept: Sweep[] = flags.json && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : [];
for (const path of flags.table ? [] : positionals) await sweep(path);
for (const { model, steps } of kept) report(model, steps);

async function sweep(model: string): Promise<void> {
  const folder = flags.json ? `${flags.json}.kept` : mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  mkdirSync(folder, { recursive: true });
  const found = kept.find((each) => each.model === model) ?? { model, steps: [] };
  if (!kept.includes(found)) kept.push(found);
  const inputs = zeroInputs(folder, await openModel(model), Number(flags.rows), Number(flags.free));
  let longest = 0;
  for (let next = nextBudget(found); next !== null; next = nextBudget(found)) {
    const start = performance.now() / 1e3;
    if (start + longest > until) {
      process.stderr.write('no time for the rest; the same command continues\n');
      return;
    }
    found.steps.push(run(model, folder, inputs, next));
    if (flags.json) writeFileSync(flags.json, `${JSON.stringify(kept, null, 2)}\n`);
    longest = Math.max(longest, performance.now() / 1e3 - start);
  }
  rmSync(folder, { recursive: true });
}

/** MiB: without end, then equal steps from more than that took down to nothing, then the budget that a refusal names and one less. */
function nextBudget({ steps: [generous, ...steps] }: Sweep): number | null {
  if (!generous) return 1 << 20;
  const limited = generous.plan!.expected!.stages.filter((_, j) => isLimited(j));
  const most = 1.15 * Math.max(...limited.map(({ bytes }) => bytes));
  const count = Number(flags.steps);
  if (steps.length < count) return Math.ceil((most * (count - steps.length)) / count / MEBI);
  const wouldDo = Math.max(...steps.map((each) => each.wouldDo ?? 0));
  return [wouldDo, wouldDo - 1][steps.length - count] ?? null;
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
    'rows/s inferred',
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
    summary ? formatRate(summary.rowsPerSecond) : '',
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
  const cutOf = ({ plan }: Step) => plan?.stages.map(({ layers }) => layers.from).join();
  // Runs of one plan count together.
  const pace = (step: Step) =>
    step.summary
      ? median(
          steps.flatMap((each) => (cutOf(each) === cutOf(step) && each.summary ? [each.summary.rowsPerSecond] : [])),
        )
      : 0;
  const claimLine = (claim: string, holds: boolean) =>
    process.stdout.write(`${holds ? 'holds' : 'DOES NOT HOLD'}: ${claim}\n`);
  claimLine(
    'no stage ever held more than its budget',
    steps.every(
      ({ budget, summary }) =>
        summary?.stages.every(({ peakRssBytes }, j) => !isLimited(j) || peakRssBytes! <= budget) ?? true,
    ),
  );
  claimLine(
    `no plan runs more than ${NOISE * 100} % faster than one with more memory`,
    falling.every((each, n) => falling.slice(0, n).every((before) => pace(each) <= pace(before) * (1 + NOISE))),
  );
  const least = Math.min(...steps.filter(({ status }) => status === 0).map(({ budget }) => budget));
  claimLine(
    'every run ends with 0 or is refused with 78',
    steps.every(({ status }) => status === 0 || status === 78),
  );
  claimLine(
    'exactly those below some budget are refused',
    steps.every(({ status, budget }) => (status === 78) === budget < least),
  );
}
