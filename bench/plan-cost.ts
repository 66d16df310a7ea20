/**
 * Bench: what planning costs a job. The bare `tandem run`, with an empty and with a full cache, against the best of what a user could type:
 * `--plan quick`, one stage, several workers, and the plan that `tandem plan` makes. With `--busy` also after a first run while all cores were
 * busy.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeModel } from '../scripts/make-model.js';
import { makeOnnx } from '../scripts/make-onnx.js';
import { formatTable } from '../src/cli/table.js';
import { machineFacts } from '../src/machine/facts.js';
import { readMachine } from '../src/machine/machine.js';
import { openModel } from '../src/model/open.js';
import { busyCores, emptyRows, planInto, type TimedJob, timeJob } from './plan-cost/timed-job.js';

const { values: flags } = parseArgs({
  options: {
    models: { type: 'string', default: 'demo,mobilenet,squeezenet,transformer,bert' },
    rows: { type: 'string', default: '4,16,600,20000' },
    /** How often each command is run, in interleaved rounds; the fastest counts. */
    times: { type: 'string', default: '2' },
    /** Seconds of running after which a job is stopped and its time extrapolated from its pace. */
    most: { type: 'string', default: '12' },
    /** Also a first run while all cores are busy, and two runs after it. */
    busy: { type: 'boolean', default: false },
    /** Folder in which the models are kept. */
    folder: { type: 'string', default: join(tmpdir(), 'tandem-plan-cost') },
    /** File that keeps the results between commands. */
    json: { type: 'string' },
    /** Only print the kept results. */
    table: { type: 'boolean', default: false },
  },
});

/** `free`: the size of dimensions that the model leaves open. */
const MODELS: Record<string, { readonly make: (folder: string) => Promise<string> | string; readonly free: number }> = {
  demo: { make: () => resolve(import.meta.dirname, '../../scripts/demo/model/model.json'), free: 0 },
  mobilenet: { make: (folder) => makeModel('mobilenet-v2', folder, { length: 224 }), free: 0 },
  squeezenet: { make: (folder) => makeOnnx('squeezenet', folder), free: 0 },
  transformer: { make: (folder) => makeOnnx('transformer', folder, { layers: 6, hidden: 128, ffn: 512 }), free: 32 },
  bert: { make: (folder) => makeOnnx('bert', folder), free: 128 },
};

interface Found {
  readonly model: string;
  readonly rows: number;
  /** Seconds of the whole command, by its name. */
  readonly byHand: Readonly<Record<string, number>>;
  readonly empty: number;
  readonly full: number;
  /** The second run after one on busy cores, and after one on an idle machine. */
  readonly afterBusy: number | null;
  readonly afterStill: number | null;
  /** Whether any command was stopped and its time extrapolated. */
  readonly reckoned: boolean;
}

const kept: Found[] = flags.json && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : [];
for (const model of flags.table ? [] : flags.models.split(',')) {
  for (const rows of flags.rows.split(',').map(Number)) {
    if (kept.some((each) => each.model === model && each.rows === rows)) continue;
    kept.push(await measure(model, rows));
    if (flags.json) writeFileSync(flags.json, JSON.stringify(kept, null, 1));
  }
}
report();

async function measure(model: string, rows: number): Promise<Found> {
  const { make, free } = MODELS[model]!;
  mkdirSync(flags.folder, { recursive: true });
  const path = await make(join(flags.folder, model));
  const work = mkdtempSync(join(flags.folder, 'work-'));
  try {
    const inputs = emptyRows(work, await openModel(path), rows, free);
    const all: TimedJob[] = [];
    const run = async (cache: string, ...args: string[]) => {
      const typed = ['run', path, ...inputs, '--output', join(work, 'out.npz'), '--force-new', '--force', ...args];
      const job = await timeJob({ cache, args: typed, rows, most: Number(flags.most) });
      all.push(job);
      process.stderr.write(`${model} ${rows}: ${args.join(' ') || 'bare'}: ${job.seconds.toFixed(2)} s\n`);
      return job.seconds;
    };
    const full = join(work, 'full');
    const file = join(work, 'plan.json');
    await planInto(full, [path, ...inputs, '--output', file]);
    const { cores } = readMachine();
    const byHand: Record<string, number> = {};
    let [bareEmpty, bareFull] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    await run(full);
    // Interleaved, so that what else the machine does affects all commands equally.
    for (let n = 0; n < Number(flags.times); n++) {
      for (const [name, ...args] of [
        ['quick', '--plan', 'quick'],
        ['one stage', '--plan', 'quick', '--stage', 'cpu'],
        ['workers', '--plan', 'quick', '--stage', `cpu,threads=1,workers=${cores}`],
        ['measured', '--plan', file],
      ] as const) {
        byHand[name] = Math.min(await run(join(work, 'hand'), ...args), byHand[name] ?? Number.POSITIVE_INFINITY);
      }
      bareEmpty = Math.min(bareEmpty, await run(join(work, `empty-${n}`)));
      bareFull = Math.min(bareFull, await run(full));
    }
    const found = { model, rows, byHand, empty: bareEmpty, full: bareFull };
    const second = async (cache: string) => {
      await run(cache);
      return run(cache);
    };
    const afterBusy = flags.busy ? await secondAfterBusy(join(work, 'busy'), cores, run) : null;
    const afterStill = flags.busy ? await second(join(work, 'empty-0')) : null;
    return { ...found, afterBusy, afterStill, reckoned: all.some(({ stopped }) => stopped) };
  } finally {
    rmSync(work, { recursive: true });
  }
}

async function secondAfterBusy(cache: string, cores: number, run: (cache: string) => Promise<number>): Promise<number> {
  {
    using _ = busyCores(cores);
    await run(cache);
  }
  await run(cache);
  return run(cache);
}

function report(): void {
  const { cpu, cores, node, system } = machineFacts();
  const shown = (seconds: number | null) => (seconds === null ? '' : seconds.toPrecision(3));
  const rows = kept.map(({ model, rows, byHand, empty, full, afterBusy, afterStill, reckoned }) => {
    const best = Math.min(...Object.values(byHand));
    const name = Object.keys(byHand).find((each) => byHand[each] === best)!;
    return [
      model,
      `${rows}${reckoned ? ' *' : ''}`,
      `${shown(best)} (${name})`,
      shown(byHand.quick!),
      shown(empty),
      empty <= 1.15 * best + 1 ? 'yes' : 'no',
      shown(full),
      (full / best).toFixed(2),
      shown(afterBusy),
      shown(afterStill),
      afterBusy === null ? '' : (afterBusy / afterStill!).toFixed(2),
    ];
  });
  const columns = [
    { title: 'model' },
    { title: 'rows', right: true },
    { title: 'best by hand, s' },
    { title: 'quick', right: true },
    { title: 'bare, empty cache', right: true },
    { title: '<= 1.15 x + 1 s' },
    { title: 'full cache', right: true },
    { title: 'x best', right: true },
    { title: 'second after a busy one', right: true },
    { title: 'after a still one', right: true },
    { title: 'x that', right: true },
  ];
  process.stdout.write(`${cpu}, ${cores} cores, ${system}, Node ${node}\n${formatTable(columns, rows)}\n`);
  process.stdout.write('*: stopped when its pace was known, and extrapolated from it\n');
}
