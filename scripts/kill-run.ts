/**
 * Kills runs at random times and resumes them until they are done. The output must equal that of an undisturbed run:
 * node dist/scripts/kill-run.js [--kills 100] [--seed 1] [--rows 20000] [--engine onnxruntime|tfjs] [--isolation thread|process]
 * [--target coordinator|stage|group] [--formats csv,parquet,…] [--containers]. With --formats the rows are CSV, and each format is one job.
 * Without flags all cases run, one after another. Linux only: stages are found through /proc.
 * With --containers each run has its own pid namespace and one of two host names, and competing runs try to write the same output.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { Random, seedOf } from '../src/prove/models/random.js';
import { type Case, KilledJob, TARGETS } from './kill-run/killed-job.js';
import { makeModel } from './make-model.js';
import { makeOnnx } from './make-onnx.js';
import { makeRows } from './make-rows.js';
import { makeTable } from './make-table.js';

const WIDTH = 8;

/** A stage in a thread cannot be killed alone. */
const CASES: readonly Case[] = ['onnxruntime', 'tfjs'].flatMap((engine) =>
  ['thread', 'process'].flatMap((isolation) =>
    TARGETS.filter((target) => target !== 'stage' || isolation === 'process').map((target) => ({
      engine,
      isolation,
      target,
    })),
  ),
);

const COLUMNS = [
  { title: 'engine' },
  { title: 'isolation' },
  { title: 'killed' },
  { title: 'output' },
  ...['kills', 'at a rename', 'resumed', 'competing', 'refused', 'outputs', 'seconds'].map((title) => ({
    title,
    right: true,
  })),
];

const text = (fallback?: string) => ({ type: 'string', default: fallback }) as const;
const { values } = parseArgs({
  options: {
    ...{ kills: text('100'), seed: text('1'), rows: text('20000') },
    ...{ engine: text(), isolation: text(), target: text() },
    formats: text(),
    containers: { type: 'boolean', default: false },
  },
});
const kills = Number(values.kills);
const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort(new Error(name)));

async function killAll(cases: readonly Case[]): Promise<void> {
  makeOnnx('mlp', join(folder, 'onnxruntime'), { layers: 2, hidden: WIDTH });
  await makeModel('mlp', join(folder, 'tfjs'), { width: WIDTH, blocks: 1, length: WIDTH });
  // Refused rows shift the boundaries of micro-batches, and a resumed run must find the same boundaries.
  makeRows(join(folder, 'rows.npy'), Number(values.rows), [WIDTH], { badEvery: 7 });
  makeRows(join(folder, 'other.npy'), 100, [WIDTH]);
  const lines: string[][] = [];
  const formats = values.formats?.split(',') ?? [undefined];
  if (values.formats) makeTable(join(folder, 'rows.csv'), Number(values.rows), WIDTH);
  for (const [one, format] of cases.flatMap((one) => formats.map((format) => [one, format] as const))) {
    const name = [...Object.values(one), ...(format ? [format] : [])].join(', ');
    const startedAt = performance.now();
    const job = new KilledJob({
      ...one,
      ...(format && { format, input: 'rows.csv' }),
      folder,
      kills,
      containers: values.containers,
      random: new Random(seedOf(name, Number(values.seed))),
      signal: stop.signal,
      onKill: ({ kills: done, outputs }) => {
        if (done % 10 === 0) process.stderr.write(`${name}: ${done} of ${kills} kills, ${outputs} outputs\n`);
      },
    });
    const tally = await job.run().catch((cause) => {
      throw new Error(`${name}: ${cause.message}`, { cause });
    });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    const counts = [tally.kills, tally.atNames, tally.resumed, tally.competing, tally.refused, tally.outputs].map(
      String,
    );
    lines.push([one.engine, one.isolation, one.target, format ?? 'jsonl', ...counts, seconds]);
  }
  process.stdout.write(`${formatTable(COLUMNS, lines)}\n`);
  process.stdout.write('every output has the bytes of an undisturbed run, and no other files are left\n');
}

const isWanted = (one: Case) =>
  (['engine', 'isolation', 'target'] as const).every((key) => (values[key] ?? one[key]) === one[key]);
let isKept = false;
try {
  await killAll(CASES.filter(isWanted));
} catch (error) {
  isKept = !stop.signal.aborted;
  process.stderr.write(`${(error as Error).message}\n${isKept ? `the files are kept: ${folder}\n` : ''}`);
  process.exitCode = 1;
}
if (!isKept) rmSync(folder, { recursive: true });
