/** One job that is repeatedly killed at random times and resumed, compared with the same job undisturbed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/prove/models/random.js';
import { childrenOf, stagesOf } from '../kill-stages/processes.js';
import { inNamespace } from './namespace.js';

const TANDEM = join(import.meta.dirname, '../../src/cli/tandem.js');

export const TARGETS = ['coordinator', 'stage', 'group'] as const;
export type Target = (typeof TARGETS)[number];

export interface Case {
  readonly engine: string;
  readonly isolation: string;
  readonly target: Target;
}

export interface Killing extends Case {
  /** Each run has its own pid namespace and one of two host names, and competing runs try to write the output. */
  readonly containers?: boolean;
  /** The rows; default rows.npy. */
  readonly input?: string;
  /** The extension of the output; default jsonl. */
  readonly format?: string;
  /** Contains a model in a folder named by engine, and the rows; with containers also other.npy. */
  readonly folder: string;
  readonly kills: number;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onKill: (tally: Tally) => void;
}

export interface Tally {
  kills: number;
  /** Kills right after a file was created, renamed or removed, which happens at the start and at the end of a run. */
  atNames: number;
  /** Runs that found a journal. */
  resumed: number;
  /** Competing runs that tried to write the output; `refused` counts the ones that were refused. */
  competing: number;
  refused: number;
  /** Finished outputs, all with the bytes of the undisturbed job. */
  outputs: number;
}

/** Number of file creations, renames and removals in a run: lock, output files and journal, at the start and at the end. */
const NAMES = 13;
/** Largest delay in milliseconds between a change of names and the kill. */
const KILL_DELAY_MS = 4;
/** A run that takes this much longer than an undisturbed one hangs. */
const TIMEOUT_MS = 180_000;

export class KilledJob {
  readonly #job: Killing;
  readonly #tally: Tally = { kills: 0, atNames: 0, resumed: 0, competing: 0, refused: 0, outputs: 0 };
  /** Milliseconds of an undisturbed run. */
  #length = 0;

  constructor(job: Killing) {
    this.#job = job;
  }

  /** Throws if an output has other bytes, a run ends with a wrong status, or files are left. */
  async run(): Promise<Tally> {
    const before = performance.now();
    const undisturbed = this.#begin(this.#named('undisturbed'));
    const { status, stderr } = await ended(undisturbed);
    if (status !== 0) throw new Error(`the undisturbed job: status ${status}: ${stderr}`);
    this.#length = performance.now() - before;
    const expected = this.#digests(this.#named('undisturbed'));
    while (this.#tally.kills < this.#job.kills) {
      while (!(await this.#live())) this.#job.signal.throwIfAborted();
      if (this.#digests(this.#named('out')) !== expected) throw new Error('the output has other bytes');
      this.#tally.outputs += 1;
      const left = readdirSync(this.#job.folder).filter((name) => name.startsWith('out.'));
      const whole = this.#named('out');
      if (left.sort().join() !== `${whole},${whole}.errors.jsonl,${whole}.journal`)
        throw new Error(`files are left: ${left.join(', ')}`);
      for (const name of left) rmSync(this.#at(name));
    }
    for (const suffix of ['', '.errors.jsonl', '.journal']) rmSync(this.#at(`${this.#named('undisturbed')}${suffix}`));
    return this.#tally;
  }

  /** One run, killed at a random time unless it has finished before. Returns whether the job is done. */
  async #live(): Promise<boolean> {
    const { folder, target } = this.#job;
    const resume = existsSync(this.#at(`${this.#named('out')}.journal`));
    if (resume) this.#tally.resumed += 1;
    const names = watch(folder);
    const child = this.#begin(this.#named('out'), { resume });
    const competing = this.#compete();
    competing.catch(() => {});
    const end = ended(child);
    const over = end.then(() => true);
    try {
      do {
        const { random } = this.#job;
        const atName = random.next() < 0.5;
        const instant = atName
          ? changes(names, 1 + random.below(NAMES)).then(() => sleep(random.uniform(0, KILL_DELAY_MS)))
          : sleep(random.uniform(0, this.#length), null, { ref: false });
        if (await Promise.race([over, instant.then(() => false)])) break;
        if (this.#kill(child)) this.#count(atName);
      } while (target === 'stage');
      const { status, stderr } = await withTimeout(end, this.#length);
      const isDone = await withTimeout(competing, this.#length);
      if (!isRight(status, stderr, target) && !(this.#job.containers && isHeld(status, stderr))) {
        throw new Error(`status ${status}: ${stderr}`);
      }
      return status === 0 || isDone;
    } finally {
      names.close();
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
    }
  }

  /** A competing run on the same output. Returns whether it finished the job. */
  async #compete(): Promise<boolean> {
    const { containers, random, folder, target } = this.#job;
    if (!containers || random.next() < 0.4) return false;
    await sleep(random.uniform(0, this.#length));
    // If a stage dies before the first row, the journal is removed and the output is free for any job.
    const isOther = target !== 'stage' && random.next() < 0.5;
    if (!existsSync(this.#at(`${this.#named('out')}.journal`))) return false;
    const child = this.#begin(this.#named('out'), isOther ? { input: 'other.npy' } : { resume: true });
    const { status, stderr } = await ended(child);
    this.#tally.competing += 1;
    if (status === 73) this.#tally.refused += 1;
    const isRefused = isHeld(status, stderr) || (isOther && stderr.includes('TANDEM_JOURNAL_MISMATCH'));
    if (!isRefused && (isOther || status !== 0))
      throw new Error(`a competing run in ${folder}: status ${status}: ${stderr}`);
    return status === 0;
  }

  #count(atName: boolean): void {
    this.#tally.kills += 1;
    if (atName) this.#tally.atNames += 1;
    this.#job.onKill(this.#tally);
  }

  /** Hashes of an output and its errors file. */
  #digests(name: string): string {
    return [name, `${name}.errors.jsonl`].map((file) => digest(this.#at(file))).join();
  }

  #named(name: string): string {
    return `${name}.${this.#job.format ?? 'jsonl'}`;
  }

  #at(name: string): string {
    return join(this.#job.folder, name);
  }

  /** Starts a run as the leader of a process group, which ends when this program is aborted. */
  #begin(output: string, { resume = false, input = this.#job.input ?? 'rows.npy' } = {}): ChildProcess {
    const { folder, engine, isolation, signal, containers, random } = this.#job;
    signal.throwIfAborted();
    const stages = ['-s', 'cpu,layers=0..0', '-s', 'cpu,layers=1..1'];
    const options = ['--isolation', isolation, '-q', '-b', '16', '--allow-errors'];
    const run = ['run', engine, '-i', input, '-o', output, ...options, ...stages];
    const args = containers && resume && random.next() < 0.5 ? ['resume', output, '-q'] : run;
    const through = containers ? inNamespace({ host: `tandem-${random.below(2)}` }) : [];
    const command = [...through, process.execPath, TANDEM, ...args];
    const child = spawn(command[0]!, command.slice(1), {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    const stop = () => void process.kill(-child.pid!, 'SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    child.once('exit', () => signal.removeEventListener('abort', stop));
    return child;
  }

  /** Returns whether there was a process to kill. */
  #kill(child: ChildProcess): boolean {
    const { target, random, containers } = this.#job;
    if (child.exitCode !== null || child.signalCode !== null) return false;
    const coordinator = containers ? childrenOf(child.pid!)[0] : child.pid!;
    const stages = target === 'stage' && coordinator ? stagesOf(coordinator) : [];
    if (target === 'stage' && stages.length === 0) return false;
    const pid = target === 'stage' ? stages[random.below(stages.length)]! : target === 'group' ? null : coordinator;
    try {
      process.kill(pid ?? -child.pid!, 'SIGKILL');
      return true;
    } catch {
      return false;
    }
  }
}

/** Its standard error is closed only after its stages have ended too. */
async function ended(child: ChildProcess): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  child.stderr!.on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  // `unshare` cannot end by the signal that killed its child, and prints this message.
  return { status: stderr.includes('sigprocmask unblock failed') ? null : status, stderr };
}

/** A run may finish, be killed, or report that it can be resumed; before its first row the death of a stage ends it like any other error. */
function isRight(status: number | null, stderr: string, target: Target): boolean {
  if (status === 0 || status === 75) return true;
  if (target === 'stage') return status === 1 && stderr.includes('TANDEM_STAGE_DIED');
  return status === null;
}

/** Whether another run holds the output or has finished it. */
function isHeld(status: number | null, stderr: string): boolean {
  return status === 73 && stderr.includes('TANDEM_OUTPUT_EXISTS');
}

async function withTimeout<T>(end: Promise<T>, length: number): Promise<T> {
  const timeout = new AbortController();
  const waited = sleep(length + TIMEOUT_MS, null, { signal: timeout.signal });
  try {
    return await Promise.race([
      end,
      waited.then(() => {
        throw new Error('a run does not end');
      }),
    ]);
  } finally {
    timeout.abort();
    waited.catch(() => {});
  }
}

/** Settles at the `count`th creation or removal of a file. */
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
