/**
 * Puts the code into few files, which is what is published: to find, read and link some 150 modules takes Node longer than to run
 * them until the first row. Files keep their depth, so that one finds another by the same relative path as in dist/.
 *
 *   node scripts/bundle.mjs [FOLDER [ENTRY…]]      dist/bundle, and what is entered from outside
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

const ENTRIES = [
  'src/index.ts',
  'src/cli/tandem.ts',
  'src/setup/probe-child.ts',
  'workers/stage-worker.ts',
  'workers/stage-host.ts',
];
const [folder = 'dist/bundle', ...more] = process.argv.slice(2);
const form = ['--bundle', '--splitting', '--format=esm', '--platform=node', '--target=node20', '--packages=external'];
const place = ['--outbase=.', `--outdir=${folder}`, '--chunk-names=src/chunks/[name]-[hash]', '--log-level=warning'];

rmSync(folder, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  ['node_modules/esbuild/bin/esbuild', ...ENTRIES, ...more, ...form, ...place],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
