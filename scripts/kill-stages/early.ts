/** Kills stages in the first seconds of whole runs, while they are started, described, measured, loaded and warmed up. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/prove/models/random.js';
import { makeOnnx } from '../make-onnx.js';
import { makeRows } from '../make-rows.js';
import { stagesOf } from './processes.js';

export interface EarlyKilling {
  readonly kills: number;
  /** Seconds after the start of a run in which kills happen. */
  readonly seconds: number;
  readonly seed: number;
  readonly onKill?: (kills: number) => void;
}

export interface EarlyAftermath {
  readonly kills: number;
  readonly runs: number;
  /** Messages of runs that failed, and runs with other bytes. */
  readonly wrong: readonly string[];
}

const TANDEM = fileURLToPath(new URL('../../src/cli/tandem.js', import.meta.url));
const WIDTH = 16;
const ROWS = 400;
/** Largest time between two kills in milliseconds; a stage that dies five times in a row is not restarted. */
const LATEST = 2000;

/** Flags: none, so that the model is measured; a cut by hand; a cut by FLOPs after the model was described. */
const WAYS = [
  ['-s', 'cpu', '-s', 'cpu', '--isolation', 'process'],
  ['-s', 'cpu,layers=0..3', '-s', 'cpu,layers=4..7', '--isolation', 'process'],
  ['-s', 'cpu', '-s', 'cpu', '--isolation', 'process', '--plan', 'quick'],
];

/** Runs the command line, each time with an empty cache, until the number of kills is reached. */
export async function killEarly({ kills, seconds, seed, onKill = () => {} }: EarlyKilling): Promise<EarlyAftermath> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
  const random = new Random(seed);
  const wrong: string[] = [];
  let killed = 0;
  let runs = 0;
  try {
    makeOnnx('mlp', join(folder, 'model'), { layers: 8, hidden: WIDTH });
    makeRows(join(folder, 'rows.npy'), ROWS, [WIDTH]);
    const expected = await run(folder, WAYS[1]!, async () => {});
    while (killed < kills) {
      const way = WAYS[runs++ % WAYS.length]!;
      const found = await run(folder, way, async (child) => {
        const end = performance.now() + seconds * 1e3;
        while (child.exitCode === null && killed < kills) {
          await sleep(random.below(LATEST));
          if (performance.now() > end) return;
          const alive = stagesOf(child.pid!);
          const victim = alive[random.below(alive.length)];
          if (victim === undefined) continue;
          process.kill(victim, 'SIGKILL');
          onKill(++killed);
        }
      });
      if (found !== expected) wrong.push(`${way.join(' ')}: ${found}`);
    }
    return { kills: killed, runs, wrong };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The SHA-256 of its output, or its error message. */
async function run(
  folder: string,
  way: readonly string[],
  disturb: (child: ChildProcess) => Promise<void>,
): Promise<string> {
  const cache = mkdtempSync(join(folder, 'cache-'));
  const output = join(cache, 'out.npy');
  const args = [TANDEM, 'run', join(folder, 'model'), '-i', join(folder, 'rows.npy'), '-o', output, '-b', '8', '-q'];
  const child = spawn(process.execPath, [...args, ...way], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, XDG_CACHE_HOME: cache },
  });
  let printed = '';
  child.stderr!.on('data', (text) => {
    printed += text;
  });
  const closed = once(child, 'close');
  await disturb(child);
  const [status] = await closed;
  if (status !== 0 || printed !== '') return `exit ${status}: ${printed}`;
  return createHash('sha256').update(readFileSync(output)).digest('hex');
}
