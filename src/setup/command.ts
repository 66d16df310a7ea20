/** One program run to its end, with what it said. */
import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit status; null when it was killed or never started. */
  readonly status: number | null;
  /** It is not on the PATH. */
  readonly missing: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Milliseconds after which it is killed. */
  readonly timeout?: number;
  /** `file` is a line for the shell. */
  readonly shell?: boolean;
}

/** Run a program with its own words kept from the terminal; a failure is a result, never an exception. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], killSignal: 'SIGKILL' });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ ...said, status: null, missing: error.code === 'ENOENT', stderr: said.stderr || error.message });
    });
    child.on('close', (status) => resolve({ ...said, status, missing: false }));
  });
}

/** The line that tells the cause: the last one that speaks of an error, else the last one. */
export function lastWords({ stdout, stderr }: CommandResult): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').map((line) => line.trim());
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
}
