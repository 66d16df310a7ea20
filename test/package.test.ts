/** The package as npm sees it: a lock file that every platform can install from, no install script that runs, and only what is used is shipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');
const readJson = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'));
const manifest = readJson('package.json');

interface LockedPackage {
  readonly version: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Record<string, string>;
}
const locked: Record<string, LockedPackage> = readJson('package-lock.json').packages;

const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

test('every package with an install script is decided on in allowScripts, and none may run', () => {
  const withScript = Object.keys(locked).filter((path) => locked[path]!.hasInstallScript);
  assert.deepEqual([...new Set(withScript.map(nameOf))].sort(), Object.keys(manifest.allowScripts).sort());
  assert.deepEqual(new Set(Object.values(manifest.allowScripts)), new Set([false]));
});

test('the lock file knows the packages of every platform, which npm ci asks for, and names no host', () => {
  const names = new Set(Object.keys(locked).map(nameOf));
  for (const [path, { optionalDependencies = {}, resolved }] of Object.entries(locked)) {
    assert.equal(resolved, undefined, path);
    for (const name of Object.keys(optionalDependencies)) assert.ok(names.has(name), `${name} of ${path}`);
  }
});

test('versions are exact, and at most seven scripts are to be learnt', () => {
  const { dependencies, optionalDependencies, devDependencies, scripts } = manifest;
  for (const [name, version] of Object.entries({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
    assert.match(String(version), /^\d+\.\d+\.\d+$/, name);
  }
  assert.ok(Object.keys(scripts).length <= 7);
});

test('what is published is the compiled code with its types and its doors, the report page, and nothing else', () => {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const answer = JSON.parse(stdout);
  const [{ files }] = Array.isArray(answer) ? answer : Object.values(answer);
  const paths = (files as { path: string }[]).map(({ path }) => path);
  const extra = paths.filter((path) => !/^dist\/(src\/.*\.(js|d\.ts)|workers\/.*\.js)$/.test(path));
  const page = ['src/report/page/page.css', 'src/report/page/page.html'];
  assert.deepEqual(extra.filter((path) => !/^(LICENSE|README\.md|package\.json)$/.test(path)).sort(), page);
  assert.ok(paths.includes(manifest.bin.tandem));
  assert.ok(paths.includes('dist/src/setup/probe-child.js'));
});
