/** Downloads ONNX's backend suite: the PyPI package `onnx`, its test data, and the node cases that it can write. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '1.23.2';
const NODE_CASES = fileURLToPath(new URL('../../../scripts/onnx-suite/write_node_cases.py', import.meta.url));

/** One case: a model with its inputs. */
export interface SuiteCase {
  readonly suite: string;
  readonly name: string;
  readonly model: string;
  /** Folders with `input_<n>.pb`; none for the light models, which have no data. */
  readonly dataSets: readonly string[];
  /** Values of open dimensions without data: for axis 0 and for the others; default 1. */
  readonly open?: { readonly rows: number; readonly free: number };
}

const SUITES = ['light', 'simple', 'pytorch-converted', 'pytorch-operator', 'node'];

/** All cases, from the user's cache or, the first time, from PyPI. Throws with the reason if neither is available. */
export function obtainSuite(): SuiteCase[] {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tandem', `onnx-suite-${VERSION}`);
  if (!existsSync(cache)) install(cache);
  return SUITES.flatMap((suite) => (suite === 'light' ? lightCases(cache) : folderCases(cache, suite)));
}

/** Every model below `folder`, with different values above 1 for the open dimensions. */
export function modelsIn(folder: string, free: number): SuiteCase[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.onnx'));
  const open = { rows: 2, free };
  return files.sort().map((name) => ({ suite: 'models', name, model: join(folder, name), dataSets: [], open }));
}

/** Whether the cases are in the cache, so that a test can use them without a download. */
export function haveSuite(): boolean {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tandem', `onnx-suite-${VERSION}`);
  return existsSync(cache);
}

function install(cache: string): void {
  const building = `${cache}.${process.pid}`;
  const python = join(building, 'venv', 'bin', 'python');
  const quiet = { stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'] };
  mkdirSync(building, { recursive: true });
  try {
    execFileSync('python3', ['-m', 'venv', join(building, 'venv')], quiet);
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', `onnx==${VERSION}`], quiet);
    execFileSync(python, ['-W', 'ignore', NODE_CASES, join(building, 'node')], quiet);
    const where = 'import onnx.backend.test as t, os; print(os.path.join(os.path.dirname(t.__file__), "data"))';
    const data = execFileSync(python, ['-c', where], { encoding: 'utf8' }).trim();
    for (const suite of SUITES.slice(0, -1)) renameSync(join(data, suite), join(building, suite));
    rmSync(join(building, 'venv'), { recursive: true });
    renameSync(building, cache);
  } catch (cause) {
    rmSync(building, { recursive: true, force: true });
    throw new Error(`the PyPI package onnx ${VERSION} cannot be installed: ${(cause as Error).message}`, { cause });
  }
}

function lightCases(cache: string): SuiteCase[] {
  const folder = join(cache, 'light');
  const models = readdirSync(folder).filter((name) => name.endsWith('.onnx'));
  return models.map((name) => ({ suite: 'light', name: name.slice(0, -5), model: join(folder, name), dataSets: [] }));
}

function folderCases(cache: string, suite: string): SuiteCase[] {
  return readdirSync(join(cache, suite))
    .sort()
    .map((name) => {
      const folder = join(cache, suite, name);
      const dataSets = readdirSync(folder).filter((entry) => entry.startsWith('test_data_set_'));
      return { suite, name, model: join(folder, 'model.onnx'), dataSets: dataSets.map((entry) => join(folder, entry)) };
    });
}
