/** The package as npm sees it: a lock file that every platform can install from, no install script that runs, and only what is used is shipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { makeOnnx } from '../scripts/make-onnx.js';
import { makeRows } from '../scripts/make-rows.js';
import { makeTextModel } from '../scripts/make-text-model.js';

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
  const { dependencies, devDependencies, scripts } = manifest;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    assert.match(String(version), /^\d+\.\d+\.\d+$/, name);
  }
  assert.ok(Object.keys(scripts).length <= 7);
});

test('what only some need is an optional peer, in the version that the tests run with', () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, devDependencies } = manifest;
  assert.equal(optionalDependencies, undefined);
  const heavy = ['@tensorflow/tfjs', '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu', 'webgpu', 'parquet-wasm'];
  for (const name of heavy) assert.ok(name in peerDependencies && !(name in dependencies), name);
  for (const [name, range] of Object.entries<string>(peerDependencies)) {
    assert.deepEqual(peerDependenciesMeta[name], { optional: true }, name);
    if (range.startsWith('~')) assert.equal(`~${devDependencies[name]}`, range, name);
  }
});

test('a model of TensorFlow.js without its packages is refused with the command that brings them', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-onnx-only-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'node_modules'));
  for (const name of Object.keys(manifest.dependencies)) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  cpSync(join(root, 'dist/bundle'), join(folder, 'dist/bundle'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  writeFileSync(join(folder, 'in.jsonl'), `${JSON.stringify(Array(8).fill(Array(8).fill([0])))}\n`);
  const tandem = (...args: string[]) =>
    spawnSync(process.execPath, [join(folder, manifest.bin.tandem), ...args], { cwd: folder, encoding: 'utf8' });
  const model = join(root, 'scripts/demo/model/model.json');
  const { status, stderr } = tandem('run', model, '-i', 'in.jsonl', '-o', 'out.jsonl');
  assert.equal(status, 78, stderr);
  assert.match(stderr, /TensorFlow\.js models need @tensorflow\/tfjs-node, which is not installed/);
  const packages = '@tensorflow/tfjs@4.22.0 @tensorflow/tfjs-node@4.22.0 node-api-headers@1.9.0';
  assert.ok(
    stderr.includes(`npx tandem setup tensorflow (which first runs: npm install --ignore-scripts ${packages})`),
    stderr,
  );
  for (const provider of ['tensorflow', 'webgpu', 'wasm']) {
    const refused = tandem('setup', provider, '--no-gpu', '--no-install');
    assert.equal(refused.status, 78, refused.stderr);
    assert.match(refused.stderr, /not installed: @tensorflow\/tfjs@4\.22\.0, .*\n.*npm install --ignore-scripts/);
  }
  makeTextModel(join(folder, 'embedder'));
  writeFileSync(join(folder, 'texts.jsonl'), '{"text":"a film"}\n');
  const texts = tandem('embed', 'embedder', '-i', 'texts.jsonl', '-o', 'out.npy');
  assert.equal(texts.status, 78, texts.stderr);
  assert.match(
    texts.stderr,
    /texts need the packages tokenizers@0\.23\.2, @huggingface\/jinja@0\.5\.11, which are not installed \[TANDEM_PACKAGE_MISSING\]\n.*npx tandem setup texts/,
  );
  const setup = tandem('setup', 'texts', '--no-install');
  assert.match(
    setup.stderr,
    /not installed: tokenizers@0\.23\.2, @huggingface\/jinja@0\.5\.11 .*\n.*npm install --ignore-scripts tokenizers@0\.23\.2/,
  );
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 2 });
  writeFileSync(join(folder, 'flat.jsonl'), `${JSON.stringify(Array(16).fill(0.5))}\n`);
  const table = tandem('run', 'mlp', '-i', 'flat.jsonl', '-o', 'out.parquet', '--plan', 'quick');
  assert.equal(table.status, 78, table.stderr);
  assert.match(
    table.stderr,
    /tables need the packages apache-arrow@.*, which are not installed \[TANDEM_PACKAGE_MISSING\]\n.*npx tandem setup tables/,
  );
  assert.equal(existsSync(join(folder, 'out.parquet')), false);
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
  const extra = paths.filter(
    (path) => !/^dist\/(bundle\/.*\.js|bundle\/src\/index\.d\.ts|src\/report\/page\/.*\.js)$/.test(path),
  );
  const page = ['src/report/page/page.css', 'src/report/page/page.html'];
  assert.deepEqual(extra.filter((path) => !/^(LICENSE|README\.md|package\.json)$/.test(path)).sort(), page);
  assert.ok(paths.includes(manifest.bin.tandem));
  assert.ok(paths.includes(manifest.exports['.'].default.slice(2)));
  assert.ok(paths.includes(manifest.exports['.'].types.slice(2)));
});

test('a start loads only the packages that every start needs; a bundle loads at once what it imports by itself', () => {
  const allowed = {
    'src/cli/command-line': ['commander', 'piscina'],
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
