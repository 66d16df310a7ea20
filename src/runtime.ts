/** Checks the runtime that this code runs on. Written in the syntax of Node 12: with newer syntax an older Node would fail before the message. */

/** The oldest Node that will do; also in package.json and in the README. */
const OLDEST = [20, 19];

/** What is wrong, and what to type, in the words of an error. */
export interface RuntimeProblem {
  readonly code: 'TANDEM_RUNTIME_UNSUPPORTED';
  readonly message: string;
  readonly remedy: string;
}

/** The runtime with its version, as people call it: `Node 20.20.0`; `Bun 1.4.5`, which also passes for a Node. */
export function runtimeName(versions: NodeJS.ProcessVersions = process.versions): string {
  if (versions.bun) return `Bun ${versions.bun}`;
  if (versions.deno) return `Deno ${versions.deno}`;
  return `Node ${versions.node}`;
}

export function isNode(versions: NodeJS.ProcessVersions = process.versions): boolean {
  return !versions.bun && !versions.deno;
}

/** Why tandem cannot run here, or `null`. */
export function runtimeProblem(): RuntimeProblem | null {
  return oldNode(process.versions.node) || lostFolder() || fewPermissions();
}

/** A Node that is too old, or `null`. */
export function oldNode(version: string): RuntimeProblem | null {
  const parts = version.split('.').map(Number);
  const major = Number(parts[0]);
  if (major > OLDEST[0]! || (major === OLDEST[0] && Number(parts[1]) >= OLDEST[1]!)) return null;
  return problem(
    `this is Node ${version}; tandem needs Node ${OLDEST.join('.')} or newer`,
    'install it from https://nodejs.org, or with a version manager: nvm install 24',
  );
}

/** Relative paths, and Node itself, need a working folder. */
function lostFolder(): RuntimeProblem | null {
  try {
    process.cwd();
    return null;
  } catch (error) {
    return problem(
      `the working folder cannot be used any more: ${(error as Error).message}`,
      'it was removed or renamed: change to a folder that exists, for example: cd ~',
    );
  }
}

/** `node --permission`: stages are threads and processes. Not every Node reports whether addons may be loaded; the engine's error does. */
function fewPermissions(): RuntimeProblem | null {
  const { permission } = process as { permission?: { has(scope: string): boolean } };
  if (!permission) return null;
  const flags: Record<string, string> = {
    worker: '--allow-worker',
    child: '--allow-child-process',
  };
  const denied = Object.keys(flags).filter((scope) => !permission.has(scope));
  if (denied.length === 0) return null;
  return problem(
    `Node was started with its permission model, which denies what tandem needs: ${denied.join(', ')}`,
    `leave --permission out, or add: ${denied.map((scope) => flags[scope]).join(' ')} --allow-addons --allow-fs-read=* --allow-fs-write=*`,
  );
}

function problem(message: string, remedy: string): RuntimeProblem {
  return { code: 'TANDEM_RUNTIME_UNSUPPORTED', message, remedy };
}
