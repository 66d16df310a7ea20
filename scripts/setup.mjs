#!/usr/bin/env node
/**
 * Sets up a fresh clone: packages, compiled code, TensorFlow, OpenVINO. Plain JavaScript, because it runs before the compiler is installed.
 * Prints one line per executed step, and nothing if there is nothing to do.
 *
 *   node scripts/setup.mjs [--optional] [--no-link] [--gpu]
 *
 * --optional  continue without TensorFlow if it cannot be linked: ONNX models do not need it
 * --no-link   packages and compiled code only; neither TensorFlow nor OpenVINO
 * --gpu       link tfjs-node-gpu even if no NVIDIA driver is found
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
  if (!flags.has('--no-link')) {
    linkTensorflow();
    fetchOpenvino();
  }
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
  // The report page runs in a browser, which has other globals than Node.
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

/** Whether exactly the packages of the lock file are installed, by npm's own list of installed packages. */
function packagesInstalled() {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules/.package-lock.json');
  if (!wanted || !installed) return false;
  const missing = Object.entries(wanted).some(([path, { version, optional }]) => {
    if (path === '' || installed[path]?.version === version) return false;
    // Packages for other platforms may be absent.
    return installed[path] !== undefined || !optional;
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

/** Whether nothing has changed since the last successful compilation. */
function codeCompiled() {
  const compiled = modified('dist/.compiled');
  const { include } = JSON.parse(readFileSync('tsconfig.json', 'utf8'));
  const sources = include.filter((folder) => modified(folder) > 0).flatMap((folder) => [folder, ...entriesOf(folder)]);
  // Folders count too: their time changes when a file is removed.
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
  if (process.exitCode === 0) console.error('setup: continuing without TensorFlow; ONNX models do not need it');
}

/** 59 MB, once per user. ONNX models run without it, so a failure stops nothing: its tests skip with their reason. */
function fetchOpenvino() {
  const { status } = spawnSync(process.execPath, ['dist/scripts/fetch-openvino.js'], { stdio: 'inherit' });
  if (status !== 0) console.error('setup: continuing without OpenVINO; its tests skip');
}

/** The npm that runs this script, else the one on the PATH. */
function npm() {
  const running = process.env.npm_execpath;
  if (running?.endsWith('npm-cli.js')) return [process.execPath, running];
  return process.platform === 'win32' ? ['npm.cmd'] : ['npm'];
}

/** Run a step; its output is shown only if it fails. */
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

/** One setup of this checkout at a time; a stale lock is taken over. */
function holdLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let reported = false; !takeLock(path); reported = true) {
    if (!reported) console.error(`setup: waiting for another setup of this folder (${path})`);
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
  // 0: the lock is just being written or removed
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
