/** scripts/setup.mjs on a separate checkout: what it does, what it prints, and that it prints nothing if there is nothing to do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';

const root = resolve(import.meta.dirname, '../../..');

/** A checkout with one source file and the packages of this checkout. */
function checkout(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-checkout-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['scripts', 'src']) mkdirSync(join(folder, name));
  for (const name of ['scripts/setup.mjs', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    copyFileSync(join(root, name), join(folder, name));
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeSource(folder, 'export const one: number = 1;\n');
  return folder;
}

/** File times may be coarse: the source gets a time one second in the future. */
function writeSource(folder: string, text: string): void {
  const file = join(folder, 'src', 'one.ts');
  writeFileSync(file, text);
  const soon = Date.now() / 1000 + 1;
  if (existsSync(join(folder, 'dist'))) utimesSync(file, soon, soon);
}

function setUp(folder: string, ...flags: string[]) {
  const args = [join(folder, 'scripts', 'setup.mjs'), '--no-link', ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, printed: stdout + stderr };
}

test('it compiles changed sources once, and prints one line', (t) => {
  const folder = checkout(t);
  const first = setUp(folder);
  assert.equal(first.status, 0, first.printed);
  assert.match(first.printed, /^setup: compiled code \(\d+\.\d s\)\n$/);
  assert.ok(existsSync(join(folder, 'dist', 'src', 'one.js')));
  assert.deepEqual(setUp(folder), { status: 0, printed: '' });
  writeSource(folder, 'export const one: number = 1 + 0;\n');
  assert.match(setUp(folder).printed, /^setup: compiled code/);
});

test('a type error fails with the compiler’s message, and fails again until it is corrected', (t) => {
  const folder = checkout(t);
  writeSource(folder, 'export const one: number = "1";\n');
  for (const { status, printed } of [setUp(folder), setUp(folder)]) {
    assert.equal(status, 1);
    assert.match(printed, /src\/one\.ts\(1,14\): error TS2322/);
    assert.match(printed, /setup: compiled code failed/);
  }
});

test('the lock of a killed run is taken over', (t) => {
  const folder = checkout(t);
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  mkdirSync(join(folder, 'dist'));
  writeFileSync(join(folder, 'dist', '.setup-lock'), String(pid));
  assert.equal(setUp(folder).status, 0);
  assert.equal(existsSync(join(folder, 'dist', '.setup-lock')), false);
});

test('packages that differ from the lock file are installed again', (t) => {
  const folder = checkout(t);
  rmSync(join(folder, 'node_modules'));
  mkdirSync(join(folder, 'node_modules'));
  // This needs no network: npm refuses a lock file that does not match package.json at once.
  writeFileSync(
    join(folder, 'package.json'),
    '{"name": "tandem", "version": "0.1.0", "dependencies": {"nothing": "1.0.0"}}',
  );
  const { status, printed } = setUp(folder);
  assert.equal(status, 1);
  assert.match(printed, /npm (error|ERR!)[\s\S]*setup: npm packages failed: it ended with status/);
});
