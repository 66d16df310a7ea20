/**
 * Puts all that is behind each door of the package into one file, which is what is published: to find, read and link some 150 modules
 * takes Node longer than to run them until the first row. Nothing is shared between the files, since no thread goes through two doors;
 * what is imported late is in the file and evaluated late.
 *
 *   node scripts/bundle.mjs [FOLDER [ENTRY…]]      dist/bundle, and what is entered from outside
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

const [folder = 'dist/bundle', ...more] = process.argv.slice(2);
const ENTRIES = ['src/index', 'src/cli/tandem', 'src/setup/probe-child', 'workers/stage-worker', 'workers/stage-host'];
const entries = [...ENTRIES, ...more.map((file) => file.replace(/\.ts$/, ''))];

/** Modules find others by paths from two folders deep, as in dist/, so that is where they must stay. */
const placeOf = (entry) => (entry.split('/').length === 3 ? entry : `src/behind/${posix.basename(entry)}`);

rmSync(folder, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/esbuild/bin/esbuild',
    ...entries.map((entry) => `${placeOf(entry)}=${entry}.ts`),
    ...['--bundle', '--format=esm', '--platform=node', '--target=node20', '--packages=external'],
    ...['--alias:zod=./scripts/bundle/zod.mjs', '--alias:msgpackr/index-no-eval=./scripts/bundle/msgpackr.mjs'],
    ...[`--outdir=${folder}`, '--log-level=warning'],
  ],
  { stdio: 'inherit' },
);
for (const entry of entries.filter((entry) => placeOf(entry) !== entry)) {
  const door = join(folder, `${entry}.js`);
  mkdirSync(dirname(door), { recursive: true });
  const behind = posix.relative(posix.dirname(entry), 'src/behind');
  writeFileSync(door, `export * from './${behind}/${posix.basename(entry)}.js';\n`);
}
process.exitCode = status ?? 1;
