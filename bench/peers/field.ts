/** The field: every peer that can run here, in a process of its own, at the batch that suits it best. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hasProviderFiles } from '../../src/engine/onnxruntime/cuda-libraries.js';
import { knownCards } from '../../src/machine/cards/cards.js';
import { readNvidiaDriver } from '../../src/machine/cards/nvidia.js';
import { readMachine } from '../../src/machine/machine.js';
import { median } from '../../src/planner/measure/median.js';
import { type Ask, CandidateProcess } from './candidate-process.js';
import type { Subject } from './subjects.js';

export interface Candidate {
  readonly name: string;
  readonly process: CandidateProcess;
  readonly batch: number;
  /** Rows a second, as it was found with the batch. */
  readonly rate: number;
}

export interface Setting {
  readonly subject: Subject;
  readonly model: string;
  /** NPY files by input. */
  readonly rows: Readonly<Record<string, string>>;
  /** The Python that has the peers. */
  readonly python: string | undefined;
  readonly progress: (what: string) => void;
}

interface Peer {
  readonly command: 'node' | 'python';
  /** What the candidate is asked for, where it is not the peer's name. */
  readonly peer?: string;
  readonly threads?: number;
  readonly env?: Record<string, string>;
  readonly needs?: 'card' | 'cuda' | 'card of Intel' | 'packages';
}

const PEERS_FOLDER = resolve(import.meta.dirname, '../../../bench/peers');
const { cores } = readMachine();
const tensorflow = (threads: number) => ({ TF_NUM_INTRAOP_THREADS: String(threads), TF_CPP_MIN_LOG_LEVEL: '2' });

const PEERS: Readonly<Record<string, Peer>> = {
  ort: { command: 'node' },
  'ort gpu + cpu': { command: 'node', peer: 'ortBoth', needs: 'card' },
  'ort partitioned': { command: 'node', peer: 'ortPartitioned', needs: 'cuda' },
  openvino: { command: 'python' },
  'openvino hetero': { command: 'python', peer: 'openvino_hetero', needs: 'card of Intel' },
  torch: { command: 'python' },
  accelerate: { command: 'python', needs: 'card' },
  'transformers.js': { command: 'node', peer: 'transformersJs', needs: 'packages' },
  predict: { command: 'node', env: tensorflow(cores) },
  // TensorFlow's default depends on the processor; tandem's does not (src/engine/tfjs/one-dnn.ts).
  'predict, no oneDNN': { command: 'node', peer: 'predict', env: { ...tensorflow(cores), TF_ENABLE_ONEDNN_OPTS: '0' } },
  'predict, 1 thread': { command: 'node', peer: 'predict', threads: 1, env: tensorflow(1) },
  tandem: { command: 'node' },
};

/** What tandem keeps from one time to the next: its plan, measured and tried. */
export async function prepare(setting: Setting): Promise<void> {
  setting.progress('tandem makes its plan');
  const candidate = await start('tandem', setting);
  process.stdout.write(`${setting.subject.name}: ${candidate.version}\n`);
  await candidate.close();
}

/** What is not installed or wants a card is skipped, with its reason. */
export async function startField(setting: Setting): Promise<{
  field: readonly Candidate[];
  skipped: readonly { readonly name: string; readonly reason: string }[];
}> {
  const { subject, progress } = setting;
  const skipped: { name: string; reason: string }[] = [];
  const field: Candidate[] = [];
  for (const name of subject.peers) {
    const reason = missing(PEERS[name]!, setting);
    if (reason) {
      skipped.push({ name, reason });
      continue;
    }
    progress(name);
    try {
      const candidate = await start(name, setting);
      field.push({ name, process: candidate, ...(await bestBatch(candidate, subject)) });
    } catch (error) {
      skipped.push({ name, reason: (error as Error).message });
    }
  }
  if (field[0]?.name === subject.peers[0]) return { field, skipped };
  await Promise.all(field.map(({ process: candidate }) => candidate.close()));
  throw new Error(`${subject.name}: ${skipped[0]!.name}, the baseline, does not run: ${skipped[0]!.reason}`);
}

function missing({ command, needs }: Peer, { python }: Setting): string | null {
  if (command === 'python' && !existsSync(pythonOf(python))) return 'no Python with the peers: see bench/README.md';
  if (needs === 'card' && !readNvidiaDriver()?.cards.length) return 'no graphics card here';
  if (needs === 'cuda' && !hasProviderFiles())
    return "ONNX Runtime's CUDA provider is not installed: npx tandem setup cuda";
  if (needs === 'cuda' && !readNvidiaDriver()?.cards.length) return 'no graphics card of NVIDIA here';
  if (needs === 'card of Intel' && !knownCards().some(({ maker }) => maker === 'Intel'))
    return 'no graphics card of Intel here';
  if (needs === 'packages' && !existsSync(join(PEERS_FOLDER, 'node_modules'))) {
    return 'not installed: see bench/README.md';
  }
  return null;
}

function start(name: string, { subject, model, rows, python }: Setting): Promise<CandidateProcess> {
  const { command, peer = name, threads = cores, env = {} } = PEERS[name]!;
  const words =
    command === 'node'
      ? [process.execPath, join(import.meta.dirname, 'candidate.js')]
      : [pythonOf(python), join(PEERS_FOLDER, 'candidate.py')];
  const largest = Math.max(...subject.batches);
  const ask: Ask = { peer, model, architecture: subject.name, rows, threads, largest };
  return CandidateProcess.start(words, env, ask);
}

function pythonOf(asked: string | undefined): string {
  return asked ?? join(PEERS_FOLDER, '.venv/bin/python');
}

/** Seconds that every batch is tried for in a turn, and how many of the largest that is at least and at most. */
const TRY = 1;
const TRIED = { least: 12, most: 48 };
/** Turns in which they are tried, there and back, so that a slow second of the machine does not choose. */
const TURNS = 3;

/** All on the same rows, as they are compared later; where there is no choice, only long enough to know how fast the peer is. */
async function bestBatch(
  candidate: CandidateProcess,
  { batches }: Subject,
): Promise<Pick<Candidate, 'batch' | 'rate'>> {
  const largest = Math.max(...batches);
  // The first runs warm up.
  for (const batch of batches) await candidate.run({ batch, rows: 2 * batch });
  const once = (await candidate.run({ batch: largest, rows: 4 * largest })) / 4;
  if (batches.length === 1) return { batch: largest, rate: largest / once };
  const rows = largest * Math.max(TRIED.least, Math.min(TRIED.most, Math.ceil(TRY / once)));
  const rates: number[][] = batches.map(() => []);
  for (let turn = 0; turn < TURNS; turn++) {
    const order = [...batches.entries()];
    for (const [n, batch] of turn % 2 === 0 ? order : order.toReversed()) {
      rates[n]!.push(rows / (await candidate.run({ batch, rows })));
    }
  }
  const medians = rates.map((each) => median(each));
  const rate = Math.max(...medians);
  return { batch: batches[medians.indexOf(rate)]!, rate };
}
