/** Lets processes find a dead owner's lock at the same time, repeatedly: one must get it, and the others must report the winner. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { childrenOf } from '../kill-stages/processes.js';

const RACER = join(import.meta.dirname, 'racer.js');

/** How the death of a lock's owner is detected: by the kernel's lock, by its process, or only by its lease. */
export const SIGNS = ['kernel', 'process', 'lease'] as const;
export type Sign = (typeof SIGNS)[number];

export interface Answer {
  readonly pid: number;
  /** Answer to `take`: the holder of the lock. */
  readonly by?: 'me' | number | null;
  readonly host?: string | null;
  readonly isHeld?: boolean;
}

/** One process that executes commands. */
export class Racer {
  readonly child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  /** `through` is a command prefix. */
  constructor({ node = [], through = [] }: { node?: readonly string[]; through?: readonly string[] } = {}) {
    const command = [...through, process.execPath, ...node, RACER];
    this.child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface(this.child.stdout!)[Symbol.asyncIterator]();
  }

  async ask(...command: readonly (string | number)[]): Promise<Answer> {
    this.child.stdin!.write(`${command.join(' ')}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('it has ended');
    return JSON.parse(value) as Answer;
  }

  /** The racer's own pid, which in a namespace differs from the pid of the started command. */
  get pid(): number {
    return childrenOf(this.child.pid!)[0] ?? this.child.pid!;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    process.kill(this.pid, 'SIGKILL');
    await ended;
  }
}

export class Race {
  readonly #folder: string;
  readonly #sign: Sign;
  readonly #racers: readonly Racer[];
  /** The files of a dead owner. */
  #claim = '';

  constructor(folder: string, sign: Sign, processes: number) {
    this.#folder = folder;
    this.#sign = sign;
    // Without addons the C library cannot be called, so there are no kernel locks.
    const node = sign === 'kernel' ? [] : ['--no-addons'];
    this.#racers = Array.from({ length: processes }, () => new Racer({ node }));
  }

  /** Throws unless exactly one process gets the lock, the others report its pid, and no files are left after the release. */
  async round(): Promise<void> {
    const path = join(this.#folder, 'lock');
    await this.#die(path);
    const at = Date.now() + 5;
    const answers = await Promise.all(this.#racers.map((racer) => racer.ask('take', path, at)));
    const winners = answers.filter(({ by }) => by === 'me');
    if (winners.length !== 1) throw new Error(`${winners.length} of ${answers.length} got the lock`);
    const misled = answers.filter(({ by }) => by !== 'me' && by !== winners[0]!.pid);
    if (misled.length > 0)
      throw new Error(`reported another holder: ${JSON.stringify(misled)}, not of ${winners[0]!.pid}`);
    await this.#racers[answers.indexOf(winners[0]!)]!.ask('release');
    const left = readdirSync(this.#folder);
    if (left.length > 0) throw new Error(`files are left: ${left.join(', ')}`);
  }

  async end(): Promise<void> {
    await Promise.all(this.#racers.map((racer) => racer.end()));
  }

  /** Creates the lock of an owner that is killed. */
  async #die(path: string): Promise<void> {
    if (this.#claim === '') {
      const owner = new Racer({ node: this.#sign === 'kernel' ? [] : ['--no-addons'] });
      await owner.ask('take', path);
      await owner.end();
      const claim = JSON.parse(readFileSync(path, 'utf8'));
      this.#claim = JSON.stringify(this.#sign === 'lease' ? { ...claim, host: 'elsewhere' } : claim);
    }
    writeFileSync(path, this.#claim);
    if (this.#sign === 'lease') utimesSync(path, 1, 1);
  }
}
