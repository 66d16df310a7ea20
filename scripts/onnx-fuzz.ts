/** Seeded damage to ONNX models; every one must end in a coded error or a run: node dist/scripts/onnx-fuzz.js [--count 1000] [--from 1] [--verbose] */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { makeOnnx } from './make-onnx.js';
import type { Report } from './onnx-fuzz/try-model.js';

const CHILD = fileURLToPath(new URL('./onnx-fuzz/try-model.js', import.meta.url));
const MODELS = [
  'mlp',
  'cnn',
  'transformer',
  'control-flow',
  'sequences',
  'odd-weights',
  'functions',
  'qdq',
  'inner-strings',
];
/** Milliseconds after which a model that was neither refused nor run counts as hanging. */
const TIMEOUT_MS = 60_000;

export interface FuzzResult {
  readonly reports: readonly Report[];
  /** Number of models by result. */
  readonly results: ReadonlyMap<string, number>;
  readonly wrong: readonly Report[];
}

/** Tries seeds [from, from + count). A crash of the child process is a finding; the next seed gets a new child. */
export async function fuzz({ count, from = 1 }: { count: number; from?: number }): Promise<FuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'));
  const paths = MODELS.map((name) =>
    makeOnnx(name, join(folder, name), { external: name === 'mlp', hidden: hiddenOf(name) }),
  );
  writeFileSync(join(folder, 'secret.bin'), new Uint8Array(65536));
  for (const name of MODELS) symlinkSync(join(folder, 'secret.bin'), join(folder, name, 'link.bin'));
  const reports: Report[] = [];
  let child = start();
  try {
    for (let seed = from; seed < from + count; seed++) {
      const report = await ask(child, paths[seed % paths.length]!, seed);
      reports.push(report);
      if (report.result === 'lost') child = start();
    }
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
  const results = new Map<string, number>();
  for (const { result } of reports) results.set(result, (results.get(result) ?? 0) + 1);
  return { reports, results, wrong: reports.filter(({ wrong }) => wrong !== null) };
}

function hiddenOf(name: string): number | undefined {
  return name === 'mlp' ? 64 : undefined;
}

function start(): ChildProcess {
  return fork(CHILD, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: ['--max-old-space-size=2048'] });
}

function ask(child: ChildProcess, path: string, seed: number): Promise<Report> {
  return new Promise((resolve) => {
    const lost = (wrong: string) => done({ seed, model: path, what: '', result: 'lost', wrong });
    const exited = (code: number | null, signal: string | null) => lost(`the process ended with ${signal ?? code}`);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      lost('it hangs');
    }, TIMEOUT_MS);
    const done = (report: Report) => {
      clearTimeout(timer);
      child.off('message', done);
      child.off('exit', exited);
      resolve(report);
    };
    child.once('message', done);
    child.once('exit', exited);
    child.send({ path, seed });
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const { reports, results, wrong } = await fuzz({ count: Number(values.count), from: Number(values.from) });
  if (values.verbose) for (const report of reports) process.stderr.write(`${JSON.stringify(report)}\n`);
  for (const [result, times] of [...results].sort((a, b) => b[1] - a[1])) process.stdout.write(`${times}\t${result}\n`);
  for (const report of wrong) process.stdout.write(`WRONG ${JSON.stringify(report)}\n`);
  if (wrong.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
