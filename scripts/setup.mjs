#!/usr/bin/env node
/**
 * Makes a fresh clone ready: packages, compiled code, TensorFlow. Plain JavaScript, because it runs before there is a compiler.
 * Says one line per step that was needed, and nothing when there is nothing to do.
 *
 *   node scripts/setup.mjs [--optional] [--no-link] [--gpu]
 *
 * --optional  go on without TensorFlow where it cannot be linked: ONNX models need none
 * --no-link   packages and compiled code only
 * --gpu       link tfjs-node-gpu also where no NVIDIA driver is found
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const flags = new Set(process.argv.slice(2));
process.chdir(root);

class SetupError extends Error {}

try {
  requireNode();
  holdLock('dist/.setup-lock', preparePackagesAndCode);
  if (!flags.has('--no-link')) linkTensorflow();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

function preparePackagesAndCode() {
  if (!packagesInstalled())
    step('npm packages', npm(), ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (codeCompiled()) return;
  const tsc = 'node_modules/typescript/bin/tsc';
  // The page of the report runs in a browser, with other names in reach than Node's.
  for (const [name, by, ...args] of [
    ['compiled code', 'tsconfig.json', tsc, '-p', '.'],
    ['report page', 'src/report/page/tsconfig.json', tsc, '-p', 'src/report/page'],
    ['bundle', 'scripts/bundle.mjs', 'scripts/bundle.mjs'],
  ]) {
    if (existsSync(by)) step(name, [process.execPath], args);
  }
  writeFileSync('dist/.compiled', '');
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new SetupError(`Node ${process.versions.node} is too old; install Node 20.19 or newer`);
}

/** Is every package of the lock file installed in its version, and nothing else? npm keeps its own list of what it has installed. */
function packagesInstalled() {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules/.package-lock.json');
  if (!wanted || !installed) return false;
  const own = wanted['']?.optionalDependencies ?? {};
  const missing = Object.entries(wanted).some(([path, { version, optional }]) => {
    if (path === '' || installed[path]?.version === version) return false;
    // Those for other platforms are rightly absent; those that tandem itself asks for are not.
    return installed[path] !== undefined || !optional || path.replace('node_modules/', '') in own;
  });
  return !missing && Object.keys(installed).every((path) => path in wanted);
}

function packagesIn(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  } catch {
    return null;
  }
}

/** Has nothing changed since the last compilation that ended well? */
function codeCompiled() {
  const compiled = modified('dist/.compiled');
  const { include } = JSON.parse(readFileSync('tsconfig.json', 'utf8'));
  const sources = include.filter((folder) => modified(folder) > 0).flatMap((folder) => [folder, ...entriesOf(folder)]);
  // Folders count too: their time changes when a file goes.
  return ['tsconfig.json', 'package-lock.json', ...sources].every((path) => modified(path) < compiled);
}

function entriesOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : [path, ...entriesOf(path)];
    return /\.ts$|^tsconfig\.json$/.test(entry.name) ? [path] : [];
  });
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function linkTensorflow() {
  const args = ['dist/scripts/link-tensorflow.js', ...(flags.has('--gpu') ? ['--gpu'] : [])];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status === 0) return;
  process.exitCode = flags.has('--optional') ? 0 : (status ?? 1);
  if (process.exitCode === 0) console.error('setup: going on without TensorFlow; ONNX models need none');
}

/** The npm that runs this script, else the one on the PATH. */
function npm() {
  const running = process.env.npm_execpath;
  if (running?.endsWith('npm-cli.js')) return [process.execPath, running];
  return process.platform === 'win32' ? ['npm.cmd'] : ['npm'];
}

/** Run a step; its own words are shown only if it fails. */
function step(name, [file, ...before], args) {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(file, [...before, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    shell: file.endsWith('.cmd'),
  });
  if (status !== 0) {
    process.stderr.write(stdout ?? '');
    process.stderr.write(stderr ?? '');
    const why = error?.message ?? `it ended with status ${status}`;
    throw new SetupError(`${name} failed: ${why}\n       see above, then run the same command again`);
  }
  console.error(`setup: ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

/** One set-up of this checkout at a time; a lock whose process is gone is taken over. */
function holdLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; !takeLock(path); told = true) {
    if (!told) console.error(`setup: waiting for another set-up of this folder (${path})`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  try {
    work();
  } finally {
    rmSync(path, { force: true });
  }
}

function takeLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const holder = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  // 0: it is just being written, or just gone
  if (holder > 0 && !isAlive(holder)) rmSync(path, { force: true });
  return false;
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
