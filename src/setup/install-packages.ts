/** Installs npm packages into the project that contains tandem, with the package manager that installed tandem. */
import { existsSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Agent, DetectStrategy } from 'package-manager-detector';
import { ROOT } from '../package.js';
import { shellWord } from '../shell-word.js';
import { errorLine, runCommand } from './command.js';
import { setupFailure } from './failure.js';

/** Install command of each manager: without install scripts, with the exact version. */
const WITHOUT_SCRIPTS: Partial<Record<Agent, readonly string[]>> = {
  'yarn@berry': ['--mode=skip-build', '--exact'],
  bun: ['--ignore-scripts', '--exact'],
  yarn: ['--ignore-scripts', '--exact'],
  pnpm: ['--ignore-scripts', '--save-exact'],
  npm: ['--ignore-scripts', '--save-exact', '--no-audit', '--no-fund', '--loglevel=error'],
};

/** How the manager is detected. The files that it leaves in node_modules are more reliable than lock files. */
const STRATEGIES: DetectStrategy[] = ['install-metadata', 'lockfile', 'packageManager-field', 'devEngines-field'];

export interface InstallCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Working directory of the command. */
  readonly cwd: string;
}

/**
 * The folder whose `node_modules` contains tandem; `null` for a checkout of tandem, which has its own setup script.
 *
 * @param own the folder of tandem's package
 */
function projectOf(own: string): string | null {
  const store = own.indexOf(`${sep}node_modules${sep}.pnpm${sep}`);
  const at = store >= 0 ? store : own.lastIndexOf(`${sep}node_modules${sep}`);
  return at < 0 ? null : own.slice(0, at) || sep;
}

/** The command that installs `packages` (`name@version`) into the project; `null` if tandem is not in a project. */
export async function installCommand(
  packages: readonly string[],
  own = fileURLToPath(ROOT),
): Promise<InstallCommand | null> {
  const project = projectOf(own);
  if (project === null) return null;
  const { detect, resolveCommand } = await import('package-manager-detector');
  const found = await detect({ cwd: project, strategies: STRATEGIES });
  const agent: Agent = found !== null && found.agent in WITHOUT_SCRIPTS ? found.agent : 'npm';
  // Without a manifest it is the folder of globally installed packages.
  const isGlobal = !existsSync(join(project, 'package.json'));
  const { command, args } = resolveCommand(agent, isGlobal ? 'global' : 'add', [
    ...WITHOUT_SCRIPTS[agent]!,
    ...packages,
  ])!;
  return { command, args, cwd: project };
}

/** The command line to type. */
export function formatInstall({ command, args, cwd }: InstallCommand): string {
  return `cd ${shellWord(cwd)} && ${[command, ...args].map(shellWord).join(' ')}`;
}

/** Runs the command. Throws TANDEM_SETUP_FAILED. */
export async function installPackages(install: InstallCommand): Promise<void> {
  const { command, args, cwd } = install;
  const result = await runCommand(command, args, { cwd, shell: process.platform === 'win32' });
  if (result.status === 0) return;
  const why = result.missing ? `there is no ${command} on the PATH` : `${command} reports "${errorLine(result)}"`;
  throw setupFailure('cannot install the npm packages', why, `run the command yourself: ${formatInstall(install)}`);
}
