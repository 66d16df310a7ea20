/** Runs one program to its end and returns its output. */
import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit status; null if it was killed or did not start. */
  readonly status: number | null;
  /** Whether the program is not on the PATH. */
  readonly missing: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Timeout in milliseconds, after which it is killed. */
  readonly timeout?: number;
  /** Whether `file` is a shell command. */
  readonly shell?: boolean;
}

/** Runs a program without showing its output. A failure is a result, never an exception. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], killSignal: 'SIGKILL' });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ ...output, status: null, missing: error.code === 'ENOENT', stderr: output.stderr || error.message });
    });
    child.on('close', (status) => resolve({ ...output, status, missing: false }));
  });
}

/** The line with the cause: the last line that contains "error", else the last line, else the exit status. */
export function errorLine({ stdout, stderr, status }: CommandResult): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').map((line) => line.trim());
  return lines.findLast((line) => /error/i.test(line)) ?? (lines.at(-1) || `nothing; exit status ${status}`);
}
