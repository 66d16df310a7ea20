/** Bench: tandem beside what else runs the same models, on the same rows and the same cores, all in turn. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { RowBank } from '../src/bench/row-bank.js';
import { geometricMean, halvesApart, median, spread } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { npyHeader } from '../src/job/formats/npy-header.js';
import { openModel } from '../src/model/open.js';
import { readMachine } from '../src/plan/machine.js';
import { readNvidiaDriver } from '../src/plan/nvidia.js';
import { processorName } from '../src/processor.js';
import { bytesOf, zeroRows } from '../src/tensor.js';
import { type Ask, ContenderProcess, type Course } from './peers/contender-process.js';
import { SUBJECTS, type Subject } from './peers/subjects.js';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    repetitions: { type: 'string', default: '5' },
    python: { type: 'string' },
    length: { type: 'string', default: '128' },
    json: { type: 'string' },
  },
});

const PEERS_FOLDER = resolve(import.meta.dirname, '../../bench/peers');
const PYTHON = flags.python ?? join(PEERS_FOLDER, '.venv/bin/python');
const { cores } = readMachine();
const cards = readNvidiaDriver()?.cards.length ?? 0;
const ROWS_HELD = 64;

const NODE = [process.execPath, join(import.meta.dirname, 'peers/contender.js')];
const PYTHON_PEER = [PYTHON, join(PEERS_FOLDER, 'contender.py')];
const tensorflow = (threads: number) => ({ TF_NUM_INTRAOP_THREADS: String(threads), TF_CPP_MIN_LOG_LEVEL: '2' });
const needsCard = cards === 0 ? 'no graphics card here' : null;
const needsPython = existsSync(PYTHON) ? null : 'no Python with the peers: see bench/README.md';

interface Peer {
  readonly command: readonly string[];
  /** What the contender is asked for, where it is not the peer's name. */
  readonly peer?: string;
  readonly threads?: number;
  readonly env?: Record<string, string>;
  /** Why it cannot run here. */
  readonly missing?: string | null;
}

const PEERS: Readonly<Record<string, Peer>> = {
  ort: { command: NODE },
  'ort gpu + cpu': { command: NODE, peer: 'ortBoth', missing: needsCard },
  openvino: { command: PYTHON_PEER, missing: needsPython },
  torch: { command: PYTHON_PEER, missing: needsPython },
  accelerate: { command: PYTHON_PEER, missing: needsPython ?? needsCard },
  'transformers.js': {
    command: NODE,
    peer: 'transformersJs',
    missing: existsSync(join(PEERS_FOLDER, 'node_modules')) ? null : 'not installed: see bench/README.md',
  },
  predict: { command: NODE, env: tensorflow(cores) },
  'predict, 1 thread': { command: NODE, peer: 'predict', threads: 1, env: tensorflow(1) },
  tandem: { command: NODE },
};

interface Contender {
  readonly name: string;
  readonly process: ContenderProcess;
  readonly batch: number;
  /** Rows a second. */
  readonly rates: number[];
}

interface SubjectResult {
  readonly subject: string;
  readonly peers: readonly {
    readonly name: string;
    readonly version: string;
    readonly batch: number;
    readonly rowsPerSecond: number;
    readonly spread: number;
    readonly halvesApart: number | null;
  }[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

const chosen = SUBJECTS.filter(({ name }) => flags.only.length === 0 || flags.only.includes(name));
const folder = mkdtempSync(join(tmpdir(), 'tandem-peers-'));
const results: SubjectResult[] = [];
try {
  process.stdout.write(`${processorName()} x ${cores}, Node ${process.versions.node}\n`);
  for (const [n, subject] of chosen.entries()) {
    const result = await measure(subject, join(folder, String(n)));
    results.push(result);
    process.stdout.write(`\n${format(result)}\n`);
  }
  process.stdout.write(means(results));
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(subject: Subject, into: string): Promise<SubjectResult> {
  mkdirSync(into, { recursive: true });
  process.stderr.write(`${subject.name}: making the model …\n`);
  const model = await subject.make(join(into, 'model'));
  const rows = await writeRows(model, into);
  const skipped: { name: string; reason: string }[] = [];
  const contenders: Contender[] = [];
  try {
    for (const name of subject.peers) {
      const peer = PEERS[name]!;
      process.stderr.write(`${subject.name}: ${name} …\n`);
      if (peer.missing) skipped.push({ name, reason: peer.missing });
      else {
        const { threads = cores, command, env = {} } = peer;
        const largest = Math.max(...subject.batches);
        const ask: Ask = { peer: peer.peer ?? name, model, architecture: subject.name, rows, threads, largest };
        try {
          const started = await ContenderProcess.start(command, env, ask);
          contenders.push({ name, process: started, batch: await bestBatch(started, subject), rates: [] });
        } catch (error) {
          skipped.push({ name, reason: (error as Error).message });
        }
      }
    }
    for (let repetition = 0; repetition < Number(flags.repetitions); repetition++) {
      process.stderr.write(`${subject.name}: round ${repetition + 1} …\n`);
      for (const { process: contender, batch, rates } of contenders) {
        rates.push(subject.rows / (await contender.run({ batch, rows: subject.rows })));
      }
    }
  } finally {
    await Promise.all(contenders.map(({ process: contender }) => contender.close()));
  }
  const peers = contenders.map(({ name, process: { version }, batch, rates }) => ({
    name,
    version,
    batch,
    rowsPerSecond: median(rates),
    spread: spread(rates),
    halvesApart: halvesApart(rates),
  }));
  return { subject: subject.name, peers, skipped };
}

/** Every batch is run twice, of which the first is warm-up. */
async function bestBatch(contender: ContenderProcess, { batches, rows }: Subject): Promise<number> {
  let best = { batch: batches[0]!, rate: 0 };
  for (const batch of batches) {
    const course: Course = { batch, rows: Math.min(rows, 12 * batch) };
    await contender.run({ batch, rows: 4 * batch });
    const rate = course.rows / (await contender.run(course));
    if (rate > best.rate) best = { batch, rate };
  }
  return best.batch;
}

/** One NPY file for each input, which every peer reads. */
async function writeRows(model: string, into: string): Promise<Record<string, string>> {
  const { inputs } = await openModel(model);
  const length = Number(flags.length);
  const specs = inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? length) }));
  const tensors = zeroRows(specs, ROWS_HELD);
  await RowBank.random(specs).feed({ rows: ROWS_HELD, microBatch: ROWS_HELD, depth: 1 }).fill(tensors);
  const files = specs.map(({ name, dtype, shape }, n) => {
    const path = join(into, `${name}.npy`);
    writeFileSync(path, Buffer.concat([npyHeader(dtype, shape, ROWS_HELD), bytesOf(tensors[n]!.data)]));
    return [name, path] as const;
  });
  return Object.fromEntries(files);
}

function format({ subject, peers, skipped }: SubjectResult): string {
  const titles = [subject, 'rows/s', '±', 'A/A', 'x first', 'batch', 'version'];
  const rows = peers.map(({ name, version, batch, rowsPerSecond, spread: apart, halvesApart: halves }) => [
    name,
    rowsPerSecond.toPrecision(4),
    `${(apart * 100).toFixed(1)} %`,
    halves === null ? '' : `${(halves * 100).toFixed(1)} %`,
    (rowsPerSecond / peers[0]!.rowsPerSecond).toFixed(2),
    String(batch),
    version,
  ]);
  const columns = titles.map((title, c) => ({ title, right: c > 0 && c < 6 }));
  return [formatTable(columns, rows), ...skipped.map(({ name, reason }) => `${name}: skipped: ${reason}`)].join('\n');
}

/** Over the subjects with the same baseline. */
function means(all: readonly SubjectResult[]): string {
  const baselines = new Set(all.map(({ peers }) => peers[0]?.name));
  return [...baselines]
    .map((baseline) => {
      const own = all.filter(({ peers }) => peers[0]?.name === baseline);
      const ratios = own.flatMap(({ peers }) => {
        const tandem = peers.find(({ name }) => name === 'tandem');
        return tandem ? [tandem.rowsPerSecond / peers[0]!.rowsPerSecond] : [];
      });
      return ratios.length > 0
        ? `\ntandem is ${geometricMean(ratios).toFixed(2)} x ${baseline} (geometric mean of ${ratios.length})\n`
        : '';
    })
    .join('');
}
