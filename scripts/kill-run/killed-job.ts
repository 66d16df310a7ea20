/** One job that is killed at random instants and gone on with, over and over, beside the same job left alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stagesOf } from '../kill-stages/processes.js';
import type { Random } from '../make-model/random.js';

const TANDEM = join(import.meta.dirname, '../../src/cli/tandem.js');

export const TARGETS = ['coordinator', 'stage', 'group'] as const;
export type Target = (typeof TARGETS)[number];

export interface Case {
  readonly engine: string;
  readonly isolation: string;
  readonly target: Target;
}

export interface Killing extends Case {
  /** Holds a model by the engine's name, and rows.npy. */
  readonly folder: string;
  readonly kills: number;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onKill: (tally: Tally) => void;
}

export interface Tally {
  kills: number;
  /** Of them those that came at the heels of a name that appeared, changed or went: at a beginning or at an end. */
  atNames: number;
  /** Runs that found a journal. */
  goneOn: number;
  /** Outputs that came to their end, all of them with the bytes of the job that was left alone. */
  outputs: number;
}

/** Names come and go so often in a run: its lock, the files it writes, the journal, and all of them again at the end. */
const NAMES = 11;
/** Milliseconds after a name's change within which a kill follows. */
const AT_THE_HEELS = 4;
/** A run that takes this much longer than one that is left alone hangs. */
const PATIENCE_MS = 180_000;

export class KilledJob {
  readonly #job: Killing;
  readonly #tally: Tally = { kills: 0, atNames: 0, goneOn: 0, outputs: 0 };
  /** Milliseconds that a run takes, from its start to its end. */
  #length = 0;

  constructor(job: Killing) {
    this.#job = job;
  }

  /** Throws where an output has other bytes, a run ends as it must not, or anything is left behind. */
  async run(): Promise<Tally> {
    const before = performance.now();
    const calm = this.#begin('calm.jsonl');
    const { status, stderr } = await ended(calm);
    if (status !== 0) throw new Error(`the job that was left alone: status ${status}: ${stderr}`);
    this.#length = performance.now() - before;
    const expected = digest(this.#at('calm.jsonl'));
    while (this.#tally.kills < this.#job.kills) {
      while (!(await this.#live())) this.#job.signal.throwIfAborted();
      if (digest(this.#at('out.jsonl')) !== expected) throw new Error('the output has other bytes');
      this.#tally.outputs += 1;
      const left = readdirSync(this.#job.folder).filter((name) => name.startsWith('out.'));
      if (left.sort().join() !== 'out.jsonl,out.jsonl.journal') throw new Error(`files are left: ${left.join(', ')}`);
      for (const name of left) rmSync(this.#at(name));
    }
    for (const name of ['calm.jsonl', 'calm.jsonl.journal']) rmSync(this.#at(name));
    return this.#tally;
  }

  /** One run, killed at some instant if it is not over by then. Whether the job is done. */
  async #live(): Promise<boolean> {
    const { folder, target } = this.#job;
    if (existsSync(this.#at('out.jsonl.journal'))) this.#tally.goneOn += 1;
    const names = watch(folder);
    const child = this.#begin('out.jsonl');
    const end = ended(child);
    const over = end.then(() => true);
    try {
      do {
        const { random } = this.#job;
        const atName = random.next() < 0.5;
        const instant = atName
          ? changes(names, 1 + random.below(NAMES)).then(() => sleep(random.uniform(0, AT_THE_HEELS)))
          : sleep(random.uniform(0, this.#length), null, { ref: false });
        if (await Promise.race([over, instant.then(() => false)])) break;
        if (this.#kill(child)) this.#count(atName);
      } while (target === 'stage');
      const { status, stderr } = await withPatience(end, this.#length);
      if (!isRight(status, stderr, target)) throw new Error(`status ${status}: ${stderr}`);
      return status === 0;
    } finally {
      names.close();
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
    }
  }

  #count(atName: boolean): void {
    this.#tally.kills += 1;
    if (atName) this.#tally.atNames += 1;
    this.#job.onKill(this.#tally);
  }

  #at(name: string): string {
    return join(this.#job.folder, name);
  }

  /** The first process of a group of its own, which ends when this program is told to. */
  #begin(output: string): ChildProcess {
    const { folder, engine, isolation, signal } = this.#job;
    signal.throwIfAborted();
    const args = ['run', engine, '-i', 'rows.npy', '-o', output, '--isolation', isolation, '-q', '-b', '16'];
    const stages = ['-s', 'cpu,layers=0..0', '-s', 'cpu,layers=1..1'];
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    const child = spawn(process.execPath, [TANDEM, ...args, ...stages], {
      cwd: folder,
      stdio: [...stdio],
      detached: true,
    });
    const stop = () => void process.kill(-child.pid!, 'SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    child.once('exit', () => signal.removeEventListener('abort', stop));
    return child;
  }

  /** Whether there was somebody to kill. */
  #kill(child: ChildProcess): boolean {
    const { target, random } = this.#job;
    if (child.exitCode !== null || child.signalCode !== null) return false;
    const stages = target === 'stage' ? stagesOf(child.pid!) : [];
    if (target === 'stage' && stages.length === 0) return false;
    const pid =
      target === 'group' ? -child.pid! : target === 'stage' ? stages[random.below(stages.length)]! : child.pid!;
    try {
      process.kill(pid, 'SIGKILL');
      return true;
    } catch {
      return false;
    }
  }
}

/** Its standard error is closed only when its stages are gone too. */
async function ended(child: ChildProcess): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  child.stderr!.on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stderr };
}

/** A run is done, killed, or says that it can be gone on with; before its first row a stage's death ends it like any other error. */
function isRight(status: number | null, stderr: string, target: Target): boolean {
  if (status === 0 || status === 75) return true;
  if (target === 'stage') return status === 1 && stderr.includes('TANDEM_STAGE_DIED');
  return status === null;
}

async function withPatience<T>(end: Promise<T>, length: number): Promise<T> {
  const impatience = new AbortController();
  const waited = sleep(length + PATIENCE_MS, null, { signal: impatience.signal });
  try {
    return await Promise.race([
      end,
      waited.then(() => {
        throw new Error('a run does not end');
      }),
    ]);
  } finally {
    impatience.abort();
    waited.catch(() => {});
  }
}

/** Settles with the `count`th name that comes or goes. */
function changes(names: ReturnType<typeof watch>, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const look = (event: string) => {
      if (event !== 'rename' || --left > 0) return;
      names.off('change', look);
      resolve();
    };
    names.on('change', look);
  });
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
