/** Runs the compiled tests of the sources that exist: all of them, or those under the paths given (`npm test -- test/arena`). */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';

/** A test that hangs is ended, and named, after this long. */
const TIMEOUT_MS = 180_000;

const asked = process.argv.slice(2).map((path) => normalize(path));
// Taken from the sources: dist/ may still hold a test whose source is gone.
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name))
  .filter((file) => file.endsWith('.test.ts') && (asked.length === 0 || asked.some((path) => file.startsWith(path))))
  .sort()
  .map((file) => join('dist', file.replace(/ts$/, 'js')));

if (files.length === 0) {
  console.error(`no test lies under ${asked.join(', ')}`);
  process.exitCode = 2;
} else {
  const flags = ['--test', '--test-reporter=spec', `--test-timeout=${TIMEOUT_MS}`];
  const { status } = spawnSync(process.execPath, [...flags, ...files], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
