/** A candidate in a process of its own: it is asked by JSON lines and answers when it has run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What a candidate is started with. */
export interface Ask {
  readonly peer: string;
  readonly model: string;
  /** For peers that build the model themselves. */
  readonly architecture: string;
  /** NPY files by input. */
  readonly rows: Readonly<Record<string, string>>;
  readonly threads: number;
  /** The largest batch that it will be asked for. */
  readonly largest: number;
}

export interface Course {
  readonly batch: number;
  readonly rows: number;
}

/** A machine under other load starts slowly, but not for ever. */
const START_DEADLINE_MS = 600_000;

export class CandidateProcess {
  /** Of the library, as it reports it. */
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.#child = child;
    this.#lines = lines;
    this.version = version;
  }

  /** Throws with the last words of a candidate that cannot run here. */
  static async start(command: readonly string[], env: NodeJS.ProcessEnv, ask: Ask): Promise<CandidateProcess> {
    const [program, ...args] = command;
    const child = spawn(program!, [...args, JSON.stringify(ask)], { env: { ...process.env, ...env }, stdio: 'pipe' });
    let said = '';
    child.stderr!.on('data', (chunk) => (said = `${said}${chunk}`.slice(-2000)));
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    const timer = setTimeout(() => child.kill('SIGKILL'), START_DEADLINE_MS);
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    try {
      const first = await Promise.race([lines.next(), failed]);
      if (first.done) throw new Error(reasonIn(said) || 'it ended without a word');
      return new CandidateProcess(child, lines, JSON.parse(first.value).ready);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Seconds for all rows. */
  async run(course: Course): Promise<number> {
    this.#child.stdin!.write(`${JSON.stringify(course)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a candidate ended while it ran');
    return JSON.parse(value).seconds;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await gone;
  }
}

/** What went wrong, in the library's words. */
function reasonIn(text: string): string {
  const lines = text.trim().split('\n');
  return (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1)!).trim();
}
