/** The TensorFlow package's own download: its install script, used if its host answers. */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { runCommand } from './command.js';

const ANSWER_MS = 5_000;
const INSTALL_MS = 15 * 60_000;

interface Manifest {
  readonly version: string;
  readonly scripts?: { readonly install?: string };
  /** node-pre-gyp's fields: the location of the prebuilt addon. */
  readonly binary?: { readonly host: string; readonly remote_path: string };
}

/** Whether the package's host has a prebuilt addon for this platform. Any error within a short timeout means no. */
export async function packageOffersDownload(packageFolder: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  try {
    const { version, binary } = await readManifest(packageFolder);
    const script = join(packageFolder, 'scripts', 'get-addon-name.js');
    const { stdout } = await runCommand(process.execPath, [script], { env, timeout: ANSWER_MS });
    if (!binary || !stdout.trim()) return false;
    const path = binary.remote_path.replace('{napi_build_version}', '8').replace('{version}', version);
    const url = new URL(join(path, stdout.trim()), `${binary.host}/`);
    return (await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(ANSWER_MS) })).ok;
  } catch {
    return false;
  }
}

/** Runs the package's install script like npm, even if npm's settings deny install scripts. Returns whether it succeeded. */
export async function runPackageDownload(packageFolder: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const { scripts } = await readManifest(packageFolder);
  if (!scripts?.install) return false;
  const path = [...binFolders(packageFolder), env.PATH ?? ''].join(delimiter);
  const result = await runCommand(scripts.install, [], {
    cwd: packageFolder,
    shell: true,
    timeout: INSTALL_MS,
    env: { ...env, PATH: path },
  });
  return result.status === 0;
}

/** Every node_modules/.bin from the package upwards, nearest first. */
function binFolders(packageFolder: string): string[] {
  const folders: string[] = [];
  for (let at = resolve(packageFolder); at !== dirname(at); at = dirname(at)) {
    folders.push(join(at, 'node_modules', '.bin'));
  }
  return folders;
}

async function readManifest(packageFolder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as Manifest;
}
