/** The TensorFlow package's own way to its library: its install script, used where the host that it names answers. */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { runCommand } from './command.js';

const ANSWER_MS = 5_000;
const INSTALL_MS = 15 * 60_000;

interface Manifest {
  readonly version: string;
  readonly scripts?: { readonly install?: string };
  /** node-pre-gyp's words: where the prebuilt addon lies. */
  readonly binary?: { readonly host: string; readonly remote_path: string };
}

/** Does the package's host have its prebuilt addon for this machine? Asked quickly; any doubt is a no. */
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

/** Run the package's install script as npm would, also where npm has been told to deny it. True when it ended well. */
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
