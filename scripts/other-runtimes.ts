/**
 * Runs a model of each format on Bun and on Deno, each fetched as the npm package that ships it:
 *
 *   node dist/scripts/other-runtimes.js [--only bun]
 *
 * ONNX in threads: the bytes must be those of Node, and no telemetry. Processes and TensorFlow must be refused by name.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFolder } from '../src/machine/cache-folder.js';
import { makeOnnx } from './make-onnx.js';
import { makeRows } from './make-rows.js';

/** Package, program in it, and the arguments before a script; for Linux on x64. */
const RUNTIMES: Readonly<Record<string, { package: string; program: string; args: readonly string[] }>> = {
  bun: { package: '@oven/bun-linux-x64', program: 'bin/bun', args: [] },
  deno: { package: '@deno/linux-x64-glibc', program: 'deno', args: ['run', '-A'] },
};

const TANDEM = resolve(import.meta.dirname, '../bundle/src/cli/tandem.js');
const DEMO = resolve(import.meta.dirname, '../../scripts/demo/model');

interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: Object.keys(RUNTIMES) } } });
const folder = mkdtempSync(join(tmpdir(), 'tandem-runtimes-'));
let failed = 0;
try {
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 3 });
  makeRows(join(folder, 'mlp.npy'), 50, [16]);
  makeRows(join(folder, 'digits.npy'), 50, [8, 8, 1]);
  const want = run(process.execPath, [], 'mlp', 'thread', 'node.npy');
  if (want.status !== 0) throw new Error(want.stderr);
  for (const name of values.only) {
    const [runtime, { args }] = [fetched(name), RUNTIMES[name]!];
    const threads = run(runtime, args, 'mlp', 'thread', `${name}.npy`);
    const same = threads.status === 0 && bytesOf(`${name}.npy`).equals(bytesOf('node.npy'));
    report(`${name}: ONNX in threads gives the bytes of Node`, same, threads);
    const isQuiet = !existsSync(join(folder, 'cache/Microsoft'));
    report(`${name}: ONNX Runtime's telemetry is off, so it keeps no files`, isQuiet, threads);
    const processes = run(runtime, args, 'mlp', 'process', 'none.npy');
    report(`${name}: processes are refused`, isRefused(processes, /stages in separate processes need Node/), processes);
    const tensorflow = run(runtime, args, DEMO, 'thread', 'none.npy');
    report(`${name}: TensorFlow is refused`, isRefused(tensorflow, /tfjs is set by environment .* Node/), tensorflow);
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(failed === 0 ? 'all as promised' : `${failed} not as promised`);
process.exitCode = failed === 0 ? 0 : 1;

function report(claim: string, holds: boolean, { status, stderr }: Ended): void {
  if (!holds) failed += 1;
  console.log(holds ? `holds: ${claim}` : `does not hold: ${claim}; status ${status}\n${stderr}`);
}

function isRefused({ status, stderr }: Ended, words: RegExp): boolean {
  return status === 78 && words.test(stderr);
}

function bytesOf(name: string): Buffer {
  return readFileSync(join(folder, name));
}

function run(runtime: string, before: readonly string[], model: string, isolation: string, output: string): Ended {
  const rows = model === DEMO ? 'digits.npy' : 'mlp.npy';
  const stages = ['-s', 'cpu,threads=1', '-s', 'cpu,threads=1', '--isolation', isolation, '--plan', 'quick', '-b', '8'];
  const args = [...before, TANDEM, 'run', model, '-i', rows, '-o', output, '--force', ...stages];
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') };
  return spawnSync(runtime, args, { cwd: folder, env, encoding: 'utf8', timeout: 120_000 });
}

/** Path of the runtime's program: fetched once and kept in the user's cache. */
function fetched(name: string): string {
  const { package: wanted, program } = RUNTIMES[name]!;
  const home = join(cacheFolder(), 'runtimes', name);
  const path = join(home, 'node_modules', wanted, program);
  if (existsSync(path)) return path;
  mkdirSync(home, { recursive: true });
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, stderr } = spawnSync('npm', ['install', '--prefix', home, ...quiet, wanted], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm cannot install ${wanted}: ${stderr}`);
  return path;
}
