/**
 * Runs the tests on every supported Node, each fetched as the npm package that ships it:
 *
 *   node dist/scripts/node-versions.js [--only 26] [TEST…]
 *
 * TEST as of `npm test -- TEST`; without one, all of them. The compiled code and the packages are those of this checkout.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFolder } from '../src/machine/cache-folder.js';

/** Major versions; the oldest matches `engines` in package.json. */
const VERSIONS = ['20', '22', '24', '26'];

const { values, positionals } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: VERSIONS } },
  allowPositionals: true,
});

let failed = 0;
for (const version of values.only) {
  const node = fetchNode(version);
  console.log(`Node ${run(node, ['--version']).trim()}`);
  const path = `${dirname(node)}${delimiter}${process.env.PATH}`;
  const { status } = spawnSync(node, ['dist/scripts/test.js', ...positionals], {
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) failed++;
}
console.log(`${values.only.length - failed} of ${values.only.length} versions of Node pass`);
process.exitCode = failed > 0 ? 1 : 0;

/** Path of the newest Node of a major version: fetched once and kept in the user's cache. */
function fetchNode(major: string): string {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const folder = join(cacheFolder(), 'node', major);
  const node = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  run(npm, ['install', '--prefix', folder, ...quiet, `${name}@${major}`]);
  return node;
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, error } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw error ?? new Error(`${command} ${args[0]} ended with ${status}`);
  return stdout;
}
