/** A job by the command line of the built tandem, timed from outside. A long one is stopped when its pace is known. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Summary } from '../../src/job/summary.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { npyHeader } from '../../src/rows/npy/npy-header.js';
import { byteCount } from '../../src/tensor.js';

const TANDEM = resolve(import.meta.dirname, '../../bundle/src/cli/tandem.js');

/** Writes sparse files of rows of zeros; returns the command-line arguments that name them. */
export function emptyRows(folder: string, { inputs }: ModelGraph, rows: number, free: number): string[] {
  return inputs.flatMap(({ name, dtype, shape }, n) => {
    const path = join(folder, `${n}-${rows}.npy`);
    const dims = shape.slice(1).map((dim) => dim ?? free);
    const header = npyHeader(dtype, dims, rows);
    const file = openSync(path, 'w');
    writeSync(file, header);
    ftruncateSync(file, header.byteLength + byteCount(dtype, [rows, ...dims]));
    closeSync(file);
    return ['--input', inputs.length > 1 ? `${name}=${path}` : path];
  });
}

export interface TimedJob {
  /** Seconds of the whole command, from start to end; extrapolated from its pace if it was stopped. */
  readonly seconds: number;
  readonly stopped: boolean;
  readonly summary: Summary;
}

export interface JobToTime {
  readonly cache: string;
  readonly args: readonly string[];
  readonly rows: number;
  /** Seconds of running, after planning, before it is stopped. */
  readonly most: number;
}

/** Runs `tandem ARGS --json`. Throws if it fails. */
export async function timeJob({ cache, args, rows, most }: JobToTime): Promise<TimedJob> {
  const began = performance.now();
  const env = { ...process.env, XDG_CACHE_HOME: cache, TANDEM_PLAN: '' };
  const child = spawn(process.execPath, [TANDEM, ...args, '--json'], { env });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => {
    // The plan is printed when it is settled.
    if (!/in flight/.test(stderr) && /in flight/.test(stderr + text)) stopLater(child, most);
    stderr += text;
  });
  const status = await new Promise<number | null>((done) => child.on('close', done));
  const took = (performance.now() - began) / 1e3;
  if (status !== 0 && status !== 130) throw new Error(`tandem ${args.join(' ')}: ${status}\n${stderr}`);
  const summary: Summary = JSON.parse(stdout);
  const stopped = summary.stopped;
  const seconds = stopped ? took + (rows - summary.rows) / summary.rowsPerSecond : took;
  return { seconds, stopped, summary };
}

function stopLater(child: ChildProcess, seconds: number): void {
  const timer = setTimeout(() => child.kill('SIGINT'), seconds * 1e3);
  child.on('close', () => clearTimeout(timer));
}

/** Runs `tandem plan`; its plan goes into the cache and into a file. */
export async function planInto(cache: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, XDG_CACHE_HOME: cache, TANDEM_PLAN: '' };
  const child = spawn(process.execPath, [TANDEM, 'plan', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const status = await new Promise<number | null>((done) => child.on('close', done));
  if (status !== 0) throw new Error(`tandem plan ${args.join(' ')}: ${status}`);
}

/** Keeps every core busy until the result is disposed of. */
export function busyCores(cores: number): Disposable {
  const children = Array.from({ length: cores }, () => spawn(process.execPath, ['-e', 'for (;;);']));
  return {
    [Symbol.dispose]: () => {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
