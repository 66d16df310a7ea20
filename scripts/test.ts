/** Runs the compiled tests of the sources that exist: all of them, or those under the paths given (`npm test -- test/arena`). */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, normalize, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Time limit of one test file in milliseconds; scripts/stalled-tests.ts ends a file without progress much sooner. */
const FILE_TIMEOUT = 1_800_000;

const asked = process.argv.slice(2).map((path) => normalize(path));
// Listed from the sources: dist/ may still contain a test whose source was removed.
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name))
  .filter((file) => file.endsWith('.test.ts') && (asked.length === 0 || asked.some((path) => file.startsWith(path))))
  .sort()
  .map((file) => join('dist', file.replace(/ts$/, 'js')));

if (files.length === 0) {
  console.error(`there are no tests under ${asked.join(', ')}`);
  process.exitCode = 2;
} else {
  const imports = ['stalled-tests', 'own-cache'].flatMap((name) => [
    '--import',
    pathToFileURL(resolve(`dist/scripts/${name}.js`)).href,
  ]);
  // One more than there are cores: a file often waits, for a process that starts or a queue that looks again.
  const width = `--test-concurrency=${availableParallelism() + 1}`;
  const flags = [...imports, '--test', '--test-reporter=spec', width, `--test-timeout=${FILE_TIMEOUT}`];
  const { status } = spawnSync(process.execPath, [...flags, ...files], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
