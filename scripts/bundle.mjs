/**
 * Bundles each entry point of the package into one file for publishing: finding, reading and linking some 150 modules takes Node
 * longer than running them until the first row. The files share nothing, because no thread uses two entry points. Dynamic imports are
 * in the same file and are evaluated late.
 *
 * The types of the library are rolled up into one file: only what can be reached from the public names.
 *
 *   node scripts/bundle.mjs [FOLDER [ENTRY…]]      dist/bundle, and the entry points
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

const [folder = 'dist/bundle', ...more] = process.argv.slice(2);
const ENTRIES = [
  'src/index',
  'src/cli/tandem',
  'src/cli/command-line',
  'src/setup/probe-child',
  'src/cluster/shard-child',
  'workers/stage-worker',
  'workers/stage-host',
  'workers/decoder-host',
  'workers/rows-worker',
  'workers/parquet-worker',
];
/** Piscina calls their default exports. */
const CALLED = new Set(['workers/stage-worker', 'workers/rows-worker']);
const entries = [...ENTRIES, ...more.map((file) => file.replace(/\.ts$/, ''))];

/** Modules find files by paths relative to a folder two levels deep, as in dist/, so the bundle must have the same depth. */
const placeOf = (entry) => (entry.split('/').length === 3 ? entry : `src/behind/${posix.basename(entry)}`);

rmSync(folder, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/esbuild/bin/esbuild',
    ...entries.map((entry) => `${placeOf(entry)}=${entry}.ts`),
    ...['--bundle', '--format=esm', '--platform=node', '--target=node20', '--packages=external'],
    // The command line's entry point loads the rest only if it is readable.
    '--external:./command-line.js',
    ...['--alias:zod=./scripts/bundle/zod.mjs', '--alias:msgpackr/index-no-eval=./scripts/bundle/msgpackr.mjs'],
    ...[`--outdir=${folder}`, '--log-level=warning'],
  ],
  { stdio: 'inherit' },
);
for (const entry of entries.filter((entry) => placeOf(entry) !== entry)) {
  const door = join(folder, `${entry}.js`);
  mkdirSync(dirname(door), { recursive: true });
  const behind = posix.relative(posix.dirname(entry), 'src/behind');
  const file = `'./${behind}/${posix.basename(entry)}.js'`;
  // `*` does not include the default export.
  const names = CALLED.has(entry) ? ['*', '{ default }'] : ['*'];
  writeFileSync(door, names.map((name) => `export ${name} from ${file};\n`).join(''));
}
if (folder === 'dist/bundle') await bundleTypes();
process.exitCode = status ?? 1;

/** The compiler has left out what is marked @internal; what cannot be reached from the public names goes here. */
async function bundleTypes() {
  const types = await rollup({ input: 'dist/src/index.d.ts', plugins: [dts()], external: /^[^./]/ });
  const { output } = await types.generate({ format: 'es' });
  // The plugin takes every class for a value: those that the library does not export as one are types only.
  const code = readFileSync('dist/src/index.js', 'utf8');
  const values = [...code.matchAll(/^export \{(.*)\}/gm)].flatMap(([, names]) =>
    names.split(',').map((name) => name.trim()),
  );
  const named = (names) => names.split(', ').map((name) => (values.includes(name) ? name : `type ${name}`));
  const text = output[0].code.replace(/^export \{ (.*) \};$/m, (_, names) => `export { ${named(names).join(', ')} };`);
  writeFileSync(join(folder, 'src/index.d.ts'), text);
}
