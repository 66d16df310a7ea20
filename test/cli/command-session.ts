/** A process that runs one command line after the other, which saves the start of a process and the loading of an engine for each. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Ended, RunOptions } from './tandem-process.js';

/** The published entry: its `main` is what `tandem` calls with what was typed. */
const ENTRY = join(import.meta.dirname, '../../bundle/src/cli/command-line.js');

/** What the process prints to stderr before the exit status of a command. */
export const ENDED = 'the command has ended with ';

export class CommandSession {
  readonly #child;
  #stderr = '';
  #isDead = false;
  #onText = () => {};

  constructor({ cwd, env }: RunOptions) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TANDEM_'));
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'command-child.js'), ENTRY], {
      cwd,
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
      this.#onText();
    });
    this.#child.on('close', () => {
      this.#isDead = true;
      this.#onText();
    });
  }

  /** One at a time. Rejects if the process ends during the command. */
  run(args: readonly string[]): Promise<Ended> {
    this.#stderr = '';
    return new Promise((done, fail) => {
      this.#onText = () => {
        const at = this.#stderr.indexOf(ENDED);
        if (at >= 0 && this.#stderr.endsWith('\n')) {
          const status = Number(this.#stderr.slice(at + ENDED.length));
          done({ status, stdout: Buffer.alloc(0), stderr: this.#stderr.slice(0, at) });
        } else if (this.#isDead) fail(new Error(`the process has ended: ${this.#stderr}`));
      };
      this.#child.stdin.write(`${JSON.stringify(args)}\n`);
      this.#onText();
    });
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
