/**
 * Installs the packed package into a project with each package manager, and runs a model of each format: an ONNX model directly, a
 * TensorFlow.js model after `tandem setup tensorflow`, which installs its packages with the same manager.
 *
 *   node dist/scripts/package-managers.js [--only pnpm]
 *
 * Install scripts are disabled, as in README: those of onnxruntime-node and tfjs-node fetch files that tandem does not need.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

interface Manager {
  /** Files that the project needs besides its package.json. */
  readonly files?: Readonly<Record<string, string>>;
  readonly install: readonly string[];
  /** Command prefix that puts the manager on the PATH. */
  readonly within?: readonly string[];
}

const MANAGERS: Readonly<Record<string, Manager>> = {
  npm: { install: ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'] },
  // pnpm runs only install scripts that the project lists; exit code 1 means that it skipped some.
  pnpm: {
    install: ['npx', '--yes', 'pnpm@10', 'install', '--ignore-scripts'],
    within: ['npx', '--yes', '-p', 'pnpm@10', '--'],
  },
  yarn: {
    // Plug'n'Play has no folder to load native libraries from.
    files: {
      '.yarnrc.yml': 'nodeLinker: node-modules\nenableScripts: false\nenableTelemetry: false\n',
      'yarn.lock': '',
    },
    install: ['npx', '--yes', '-p', '@yarnpkg/cli-dist@4', 'yarn', 'install'],
    within: ['npx', '--yes', '-p', '@yarnpkg/cli-dist@4', '--'],
  },
};

/** What an installation for ONNX alone may take. */
const MOST_MEGABYTES = 320;

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: Object.keys(MANAGERS) } } });
const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'tandem-managers-'));
try {
  const packed = JSON.parse(run(['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder], root));
  const [{ filename }] = Array.isArray(packed) ? packed : (Object.values(packed) as [{ filename: string }]);
  for (const name of values.only) {
    const begun = performance.now();
    tryOut(MANAGERS[name]!, mkdtempSync(join(folder, `${name}-`)), join(folder, filename));
    console.log(`${name}: installed and ran in ${((performance.now() - begun) / 1e3).toFixed(0)} s`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Throws if the installation fails or the demo's answers are wrong. */
function tryOut({ files = {}, install, within = [] }: Manager, project: string, archive: string): void {
  const manifest = { name: 'user', private: true, type: 'module', dependencies: { tandem: `file:${archive}` } };
  for (const [name, text] of Object.entries({ 'package.json': JSON.stringify(manifest), ...files })) {
    writeFileSync(join(project, name), text);
  }
  run(install, project);
  const model = join(root, 'scripts/demo/model/model.onnx');
  const row = JSON.stringify(Array.from({ length: 8 }, () => Array.from({ length: 8 }, () => [0.5])));
  writeFileSync(join(project, 'rows.jsonl'), `${row}\n`.repeat(20));
  const stages = ['--stage', 'cpu', '--stage', 'cpu'];
  const tandem = join(project, 'node_modules/.bin/tandem');
  const megabytes = Number(run(['du', '-sm', 'node_modules'], project).split('\t')[0]);
  if (megabytes >= MOST_MEGABYTES)
    throw new Error(`${megabytes} MB are installed, and less than ${MOST_MEGABYTES} may be`);
  const runOf = (path: string, output: string) =>
    [tandem, 'run', path, '-i', 'rows.jsonl', '-o', output, ...stages, '--plan', 'quick'] as const;
  run(runOf(model, 'answers.jsonl'), project);
  requireAnswers(join(project, 'answers.jsonl'));
  const [command, ...args] = runOf(join(root, 'scripts/demo/model/model.json'), 'refused.jsonl');
  const { status, stderr } = spawnSync(command, args, { cwd: project, encoding: 'utf8' });
  if (status !== 78 || !stderr.includes('npx tandem setup tensorflow'))
    throw new Error(`not refused: ${status} ${stderr}`);
  run([...within, tandem, 'setup', 'tensorflow', '--no-gpu'], project);
  run(runOf(join(root, 'scripts/demo/model/model.json'), 'tensorflow.jsonl'), project);
  requireAnswers(join(project, 'tensorflow.jsonl'));
  const program = `import { openPipeline } from 'tandem'; await (await openPipeline(${JSON.stringify(model)})).close();`;
  run([process.execPath, '--input-type=module', '-e', program], project);
}

function requireAnswers(file: string): void {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  if (lines.length !== 20) throw new Error(`${lines.length} answers, not 20`);
}

function run([command, ...args]: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command!, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw error ?? new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}
