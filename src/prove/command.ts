/** Starts the command line as a person does, in a folder of its own, and ends it when the time is up. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Summary } from '../job/summary.js';
import { OutOfTime, RunFailed } from './claim.js';

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. `ended` rejects with OutOfTime if it had to be ended. */
export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first match on stderr; rejects if it ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export interface CommandOptions {
  /** The file of the command line. */
  readonly file: string;
  /** The working folder: no configuration of the user's is in it. */
  readonly folder: string;
  /** When the time is up, on the clock of `performance.now()`; later calls see a change. */
  readonly until: () => number;
  /** Flags of every run. */
  readonly always: readonly string[];
}

export class Command {
  readonly #options: CommandOptions;
  #outputs = 0;

  constructor(options: CommandOptions) {
    this.#options = options;
  }

  get folder(): string {
    return this.#options.folder;
  }

  /** Seconds. */
  get left(): number {
    return Math.max(0, (this.#options.until() - performance.now()) / 1000);
  }

  /** `measured`: plans by measuring, as a user's run does; else by counting, which is faster. Throws OutOfTime. */
  start(args: readonly string[], { measured = false } = {}): Started {
    if (this.left < 1) throw new OutOfTime('the time was up');
    const { file, folder } = this.#options;
    const child = spawn(process.execPath, [file, ...args], { cwd: folder, env: environment(measured) });
    let [stdout, stderr] = ['', ''];
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, this.left * 1000);
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.stdin.on('error', () => {});
    const ended = new Promise<Ended>((done, fail) => {
      child.on('error', fail).on('close', (status) => {
        clearTimeout(timer);
        if (isLate) fail(new OutOfTime(`the time was up while this ran: tandem ${args.slice(0, 2).join(' ')} …`));
        else done({ status, stdout, stderr });
      });
    });
    ended.catch(() => {});
    const says = (pattern: RegExp) =>
      new Promise<RegExpExecArray>((done, fail) => {
        const look = () => {
          const found = pattern.exec(stderr);
          if (found) done(found);
        };
        child.stderr.on('data', look);
        ended.then((end) => fail(failure(end)), fail);
        look();
      });
    return { child, ended, says };
  }

  async end(args: readonly string[], { measured = false } = {}): Promise<Ended> {
    const { child, ended } = this.start(args, { measured });
    child.stdin!.end();
    return ended;
  }

  /** `tandem run MODEL …` into `out`. Throws RunFailed with what it reported, and OutOfTime. */
  async run(
    model: string,
    args: readonly string[],
    { out, measured = false }: { readonly out?: string; readonly measured?: boolean } = {},
  ): Promise<Summary> {
    const ended = await this.end(this.runArguments(model, args, out), { measured });
    if (ended.status !== 0) throw failure(ended);
    return JSON.parse(ended.stdout) as Summary;
  }

  /** `out` is by default a file that no other run has: one that had to be ended leaves its output unfinished. */
  runArguments(model: string, args: readonly string[], out = `out-${this.#outputs++}.npy`): string[] {
    return ['run', model, ...args, '-o', out, '--force', '--json', ...this.#options.always];
  }

  read(file: string): Buffer {
    return readFileSync(join(this.folder, file));
  }
}

/** The user's environment without settings of tandem's own. */
function environment(measured: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('TANDEM_'));
  return { ...Object.fromEntries(kept), ...(measured ? {} : { TANDEM_PLAN: 'quick' }) };
}

/** What a command reported: its error and what to type. */
export function failure({ status, stderr }: Ended): RunFailed {
  const lines = stderr.trim().split('\n');
  const from = lines.findLastIndex((line) => line.startsWith('tandem: '));
  const said = (from < 0 ? lines.slice(-2) : lines.slice(from, from + 2)).map((line) => line.trim()).join('; ');
  return new RunFailed(`exit status ${status}: ${said.slice(0, 400)}`);
}
