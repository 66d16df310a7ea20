/**
 * Kills runs at random instants and goes on with them until they are done; the output must be that of a run that was left alone:
 * node dist/scripts/kill-run.js [--kills 100] [--seed 1] [--rows 400000] [--engine onnxruntime|tfjs] [--isolation thread|process]
 * [--target coordinator|stage|group]. Linux only: stages are found through /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from './make-model/random.js';
import { makeModel } from './make-model.js';
import { makeOnnx } from './make-onnx.js';
import { makeRows } from './make-rows.js';

const TANDEM = join(import.meta.dirname, '../src/cli/tandem.js');
const WIDTH = 8;

const TARGETS = ['coordinator', 'stage', 'group'] as const;
type Target = (typeof TARGETS)[number];

interface Case {
  readonly engine: string;
  readonly isolation: string;
  readonly target: Target;
}

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '400000' },
    engine: { type: 'string' },
    isolation: { type: 'string' },
    target: { type: 'string' },
  },
});
const kills = Number(values.kills);
const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
const at = (name: string) => join(folder, name);

function begin({ engine, isolation }: Case, output: string): ChildProcess {
  const args = ['run', at(engine), '-i', at('rows.npy'), '-o', at(output), '--isolation', isolation, '-q', '-b', '16'];
  return spawn(process.execPath, [TANDEM, ...args, '-s', 'cpu,layers=0..0', '-s', 'cpu,layers=1..1'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
}

async function ended(child: ChildProcess): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  child.stderr!.on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stderr };
}

function stagesOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
}

/** Whether there was somebody to kill. */
function kill(child: ChildProcess, target: Target, random: Random): boolean {
  if (child.exitCode !== null || child.signalCode !== null) return false;
  const stages = target === 'stage' ? stagesOf(child.pid!) : [];
  if (target === 'stage' && stages.length === 0) return false;
  const pid = target === 'group' ? -child.pid! : target === 'stage' ? stages[random.below(stages.length)]! : child.pid!;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function digest(output: string): string {
  return createHash('sha256')
    .update(readFileSync(at(output)))
    .digest('hex');
}

interface Tally {
  kills: number;
  outputs: number;
  /** Runs that found rows of an earlier one. */
  goneOn: number;
}

async function killRuns(one: Case, random: Random): Promise<Tally> {
  const before = performance.now();
  const calm = await ended(begin(one, 'calm.jsonl'));
  if (calm.status !== 0) throw new Error(calm.stderr);
  const length = performance.now() - before;
  const expected = digest('calm.jsonl');
  const tally = { kills: 0, outputs: 0, goneOn: 0 };
  while (tally.kills < kills) {
    for (let status: number | null = null; status !== 0; ) {
      if (existsSync(at('out.jsonl.journal'))) tally.goneOn += 1;
      const child = begin(one, 'out.jsonl');
      const end = ended(child);
      const over = end.then(() => true);
      do {
        if (await Promise.race([over, sleep(random.uniform(0, length), false)])) break;
        if (kill(child, one.target, random)) tally.kills += 1;
      } while (one.target === 'stage' && tally.kills < kills);
      const { status: found, stderr } = await end;
      status = found;
      if (status !== 0 && status !== null && status !== 75) throw new Error(`status ${status}: ${stderr}`);
    }
    if (digest('out.jsonl') !== expected) throw new Error(`another output after ${tally.kills} kills`);
    tally.outputs += 1;
    for (const name of readdirSync(folder).filter((file) => file.startsWith('out.'))) rmSync(at(name));
  }
  rmSync(at('calm.jsonl'));
  rmSync(at('calm.jsonl.journal'));
  return tally;
}

const CASES: Case[] = ['onnxruntime', 'tfjs'].flatMap((engine) =>
  ['thread', 'process'].flatMap((isolation) => TARGETS.map((target) => ({ engine, isolation, target }))),
);

async function main(): Promise<void> {
  makeOnnx('mlp', at('onnxruntime'), { layers: 2, hidden: WIDTH });
  await makeModel('mlp', at('tfjs'), { width: WIDTH, blocks: 1, length: WIDTH });
  makeRows(at('rows.npy'), Number(values.rows), [WIDTH]);
  const wanted = (one: Case) =>
    (['engine', 'isolation', 'target'] as const).every((key) => (values[key] ?? one[key]) === one[key]);
  for (const one of CASES.filter(wanted)) {
    const name = `${one.engine}, ${one.isolation}, ${one.target}`;
    if (one.target === 'stage' && one.isolation === 'thread') {
      console.log(`${name}: skipped, a thread cannot be killed alone`);
      continue;
    }
    const { kills: done, outputs, goneOn } = await killRuns(one, new Random(Number(values.seed)));
    console.log(`${name}: ${done} kills, ${goneOn} runs gone on with, ${outputs} outputs, all the same bytes`);
  }
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}
