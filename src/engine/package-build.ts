/** The build of a package that would be loaded here, read from its files. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** `onnxruntime-node 1.30.0`. */
export function packageBuild(name: string): string {
  const folder = packageFolder(name);
  if (!folder) return `${name}, not installed`;
  return `${name} ${JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version}`;
}

/** Where a package is installed, also one that exports no package.json; or `null`. */
export function packageFolder(name: string): string | null {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return dirname(realpathSync(join(folder, name, 'package.json')));
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/** Size and time of a file, which change when it is rebuilt; `null` if it is absent. */
export function fileStamp(file: string): string | null {
  try {
    const { size, mtimeMs } = statSync(file);
    return `${size}-${Math.round(mtimeMs)}`;
  } catch {
    return null;
  }
}
