/**
 * Kills runs at random instants and goes on with them until they are done; the output must be that of a run that was left alone:
 * node dist/scripts/kill-run.js [--kills 100] [--seed 1] [--rows 20000] [--engine onnxruntime|tfjs] [--isolation thread|process]
 * [--target coordinator|stage|group]. With nothing named all of them, one after the other. Linux only: stages are found through /proc.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { type Case, KilledJob, TARGETS } from './kill-run/killed-job.js';
import { Random, seedOf } from './make-model/random.js';
import { makeModel } from './make-model.js';
import { makeOnnx } from './make-onnx.js';
import { makeRows } from './make-rows.js';

const WIDTH = 8;

/** A thread is no process: it cannot be killed alone. */
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
  ...['kills', 'at a name', 'gone on', 'outputs', 'seconds'].map((title) => ({ title, right: true })),
];

const text = (fallback?: string) => ({ type: 'string', default: fallback }) as const;
const { values } = parseArgs({
  options: {
    ...{ kills: text('100'), seed: text('1'), rows: text('20000') },
    ...{ engine: text(), isolation: text(), target: text() },
  },
});
const kills = Number(values.kills);
const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort(new Error(name)));

async function killAll(cases: readonly Case[]): Promise<void> {
  makeOnnx('mlp', join(folder, 'onnxruntime'), { layers: 2, hidden: WIDTH });
  await makeModel('mlp', join(folder, 'tfjs'), { width: WIDTH, blocks: 1, length: WIDTH });
  makeRows(join(folder, 'rows.npy'), Number(values.rows), [WIDTH]);
  const lines: string[][] = [];
  for (const one of cases) {
    const name = Object.values(one).join(', ');
    const beganAt = performance.now();
    const job = new KilledJob({
      ...one,
      folder,
      kills,
      random: new Random(seedOf(name, Number(values.seed))),
      signal: stop.signal,
      onKill: ({ kills: done, outputs }) => {
        if (done % 10 === 0) process.stderr.write(`${name}: ${done} of ${kills} kills, ${outputs} outputs\n`);
      },
    });
    const tally = await job.run().catch((cause) => {
      throw new Error(`${name}: ${cause.message}`, { cause });
    });
    const seconds = ((performance.now() - beganAt) / 1000).toFixed(0);
    const counts = [tally.kills, tally.atNames, tally.goneOn, tally.outputs].map(String);
    lines.push([one.engine, one.isolation, one.target, ...counts, seconds]);
  }
  process.stdout.write(`${formatTable(COLUMNS, lines)}\n`);
  process.stdout.write('every output has the bytes of a run that was left alone, and nothing lies beside it\n');
}

const isWanted = (one: Case) =>
  (['engine', 'isolation', 'target'] as const).every((key) => (values[key] ?? one[key]) === one[key]);
let isKept = false;
try {
  await killAll(CASES.filter(isWanted));
} catch (error) {
  isKept = !stop.signal.aborted;
  process.stderr.write(`${(error as Error).message}\n${isKept ? `what lies there is kept: ${folder}\n` : ''}`);
  process.exitCode = 1;
}
if (!isKept) rmSync(folder, { recursive: true });
