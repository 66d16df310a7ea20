/** Finds the Python that fetches and unpacks wheels: any Python 3 with pip, because it runs no code of the wheel. */

import { type CommandResult, runCommand } from './command.js';
import { setupFailure } from './failure.js';

export interface Python {
  /** Its command: `python3`. */
  readonly command: string;
  readonly version: string;
  /** null if Python has no pip. */
  readonly pip: string | null;
  run(args: readonly string[], more?: NodeJS.ProcessEnv): Promise<CommandResult>;
}

const COMMANDS = process.platform === 'win32' ? ['python', 'python3', 'py'] : ['python3', 'python'];

/** The first Python 3 on the PATH, or null. */
export async function findPython(env: NodeJS.ProcessEnv = process.env): Promise<Python | null> {
  for (const command of COMMANDS) {
    const version = /^Python (3\.\S+)/.exec((await runCommand(command, ['--version'], { env })).stdout)?.[1];
    if (version === undefined) continue;
    const run: Python['run'] = (args, more) => runCommand(command, args, { env: { ...env, ...more } });
    const pip = (await run(['-c', 'import pip; print(pip.__version__)'])).stdout.trim();
    return { command, version, pip: pip || null, run };
  }
  return null;
}

export const PYTHON_REMEDY =
  process.platform === 'linux'
    ? 'install Python 3 with pip (Debian, Ubuntu: sudo apt-get install python3-pip; Fedora: sudo dnf install python3-pip), then run this again'
    : 'install Python 3 with pip, then run this again';

/** A Python that can fetch `what`. Throws TANDEM_SETUP_FAILED if Python or pip is absent. */
export async function requirePython(env: NodeJS.ProcessEnv, what: string): Promise<Python> {
  const python = await findPython(env);
  if (python === null) throw setupFailure(`cannot fetch ${what}`, 'there is no python3 on the PATH', PYTHON_REMEDY);
  if (python.pip === null) {
    const why = `${python.command} (${python.version}) has no pip`;
    throw setupFailure(`cannot fetch ${what}`, why, PYTHON_REMEDY);
  }
  return python;
}
