/** The package as npm sees it: a lock file that every platform can install from, no install script that runs, and only what is used is shipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { makeOnnx } from '../scripts/make-onnx.js';
import { makeRows } from '../scripts/make-rows.js';

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

test('what is published is the bundle with its doors, the types, the report page, and nothing else', () => {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const answer = JSON.parse(stdout);
  const [{ files }] = Array.isArray(answer) ? answer : Object.values(answer);
  const paths = (files as { path: string }[]).map(({ path }) => path);
  const extra = paths.filter((path) => !/^dist\/(bundle\/.*\.js|src\/.*\.d\.ts|src\/report\/page\/.*\.js)$/.test(path));
  const page = ['src/report/page/page.css', 'src/report/page/page.html'];
  assert.deepEqual(extra.filter((path) => !/^(LICENSE|README\.md|package\.json)$/.test(path)).sort(), page);
  assert.ok(paths.includes(manifest.bin.tandem));
  assert.ok(paths.includes(manifest.exports['.'].default.slice(2)));
  assert.ok(paths.includes(manifest.exports['.'].types.slice(2)));
});

test('a start loads only the packages that every start needs; a bundle loads at once what it imports by itself', () => {
  const allowed = {
    'src/cli/tandem': ['commander', 'piscina'],
    'src/behind/stage-host': ['piscina'],
    'src/behind/stage-worker': [],
  };
  for (const [entry, packages] of Object.entries(allowed)) {
    const code = readFileSync(join(root, `dist/bundle/${entry}.js`), 'utf8');
    const imports = [...code.matchAll(/^import .*from "([^"]+)";$/gm)].map(([, name]) => name!);
    assert.ok(imports.length > 0);
    assert.deepEqual([...new Set(imports.filter((name) => !name.startsWith('node:')))].sort(), packages);
  }
});

test('what is published runs by itself: stages as threads and as processes, the report, the probes, the library', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-package-'));
  try {
    const npm = spawnSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(npm.status, 0, npm.stderr);
    const tarball = npm.stdout.trim().split('\n').at(-1)!;
    assert.equal(spawnSync('tar', ['-xzf', tarball], { cwd: folder }).status, 0);
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const own = (path: string) => join(folder, 'package', path);
    const tandem = (file: string, ...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
        cwd: folder,
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      return stdout;
    };
    makeOnnx('mlp', join(folder, 'mlp'), { layers: 3, hidden: 16 });
    makeRows(join(folder, 'in.jsonl'), 20, [16]);
    const run = ['run', 'mlp', '-i', 'in.jsonl', '-q', '--stage', 'cpu', '--stage', 'cpu', '--plan', 'quick'];
    for (const isolation of ['thread', 'process']) {
      tandem(
        own(manifest.bin.tandem),
        ...run,
        '-o',
        `${isolation}.jsonl`,
        '--isolation',
        isolation,
        '--report',
        `${isolation}.html`,
      );
    }
    tandem(join(root, 'dist/src/cli/tandem.js'), ...run, '-o', 'expected.jsonl');
    const [thread, process_, expected] = ['thread', 'process', 'expected'].map((name) =>
      readFileSync(join(folder, `${name}.jsonl`), 'utf8'),
    );
    assert.equal(thread, expected);
    assert.equal(process_, expected);
    assert.match(readFileSync(join(folder, 'thread.html'), 'utf8'), /<\/html>/);
    assert.match(tandem(own(manifest.bin.tandem), 'doctor'), /onnxruntime +ok/);
    const { openPipeline } = await import(own(manifest.exports['.'].default));
    await using pipeline = await openPipeline(join(folder, 'mlp'));
    assert.equal(pipeline.inputs.length, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
