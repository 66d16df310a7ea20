/** Bench: tandem against other programs that run the same models, on the same rows and cores, interleaved. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RowBank } from '../src/bench/row-bank.js';
import { readNvidiaDriver } from '../src/machine/cards/nvidia.js';
import { machineFacts } from '../src/machine/facts.js';
import { openModel } from '../src/model/open.js';
import { npyHeader } from '../src/rows/npy/npy-header.js';
import { bytesOf, zeroRows } from '../src/tensor.js';
import { prepare, type Setting, startField } from './peers/field.js';
import { formatMeans, formatSubject, type SubjectResult } from './peers/result.js';
import { measureRounds } from './peers/rounds.js';
import { SUBJECTS, type Subject } from './peers/subjects.js';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '125' },
    full: { type: 'boolean', default: false },
    models: { type: 'string' },
    length: { type: 'string' },
    prepare: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    json: { type: 'string' },
    python: { type: 'string' },
  },
});

const ROWS_HELD = 64;

const unknown = flags.only.filter((name) => !SUBJECTS.some((subject) => subject.name === name));
if (unknown.length > 0) {
  throw new Error(`no case "${unknown[0]}"; there are ${SUBJECTS.map(({ name }) => `"${name}"`).join(', ')}`);
}
const chosen = SUBJECTS.filter(({ name }) => flags.only.length === 0 || flags.only.includes(name)).map(withPeers);
const kept: SubjectResult[] = flags.json && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : [];
const folder = mkdtempSync(join(tmpdir(), 'tandem-peers-'));
try {
  for (const subject of flags.table ? [] : chosen) {
    const result = await measure(subject, join(folder, fileName(subject))).catch(printError);
    if (!result) continue;
    const place = kept.findIndex((each) => each.subject === subject.name);
    kept.splice(place < 0 ? kept.length : place, place < 0 ? 0 : 1, result);
    if (flags.json) writeFileSync(flags.json, `${JSON.stringify(kept, null, 2)}\n`);
    process.stdout.write(`${formatSubject(result)}\n\n`);
  }
  if (flags.table) process.stdout.write(kept.map((each) => `${formatSubject(each)}\n\n`).join(''));
  process.stdout.write(formatMeans(kept));
} finally {
  rmSync(folder, { recursive: true });
}

/** All in the time that a case has, the making of the model included; `null` where it was only to be prepared. */
async function measure(subject: Subject, into: string): Promise<SubjectResult | null> {
  const until = flags.full ? Number.POSITIVE_INFINITY : performance.now() / 1e3 + Number(flags.seconds);
  mkdirSync(into, { recursive: true });
  const progress = (what: string) => process.stderr.write(`${subject.name}: ${what} …\n`);
  progress('the model');
  const model = await modelOf(subject, into);
  const length = Number(flags.length ?? subject.length ?? 128);
  const { rows, open } = await writeRows(model, into, length);
  const setting: Setting = { subject, model, rows, python: flags.python, progress };
  if (flags.prepare) {
    await prepare(setting);
    return null;
  }
  const { field, skipped } = await startField(setting);
  try {
    const peers = await measureRounds(field, { subject, until, progress });
    const cards = readNvidiaDriver()?.cards.map(({ name }) => name);
    const machine = machineFacts(cards);
    return {
      subject: subject.name,
      length: open ? length : null,
      date: new Date().toISOString(),
      machine,
      ...peers,
      skipped,
    };
  } finally {
    await Promise.all(field.map(({ process: candidate }) => candidate.close()));
  }
}

/** Those that `--peer` names, and always the baseline. */
function withPeers(subject: Subject): Subject {
  const [first, ...others] = subject.peers;
  const asked = others.filter((name) => flags.peer.length === 0 || flags.peer.includes(name));
  return { ...subject, peers: [first!, ...asked] };
}

/** Made once where a folder is named to keep models in. */
async function modelOf(subject: Subject, into: string): Promise<string> {
  const place = join(flags.models ?? into, fileName(subject));
  const note = join(place, 'model-path');
  if (existsSync(note)) return readFileSync(note, 'utf8');
  mkdirSync(place, { recursive: true });
  const path = await subject.make(join(place, 'model'));
  writeFileSync(note, path);
  return path;
}

/** A case that cannot be measured here is no reason to leave the others out. */
function printError(error: Error): null {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
  return null;
}

function fileName({ name }: Subject): string {
  return name.replaceAll(' ', '-');
}

/** One NPY file for each input, which every peer reads; `open` where the model takes rows of any length. */
async function writeRows(
  model: string,
  into: string,
  length: number,
): Promise<{ rows: Record<string, string>; open: boolean }> {
  const { inputs } = await openModel(model);
  const specs = inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? length) }));
  const tensors = zeroRows(specs, ROWS_HELD);
  await RowBank.random(specs).feed({ rows: ROWS_HELD, microBatch: ROWS_HELD, depth: 1 }).fill(tensors);
  const files = specs.map(({ name, dtype, shape }, n) => {
    const path = join(into, `${name}.npy`);
    writeFileSync(path, Buffer.concat([npyHeader(dtype, shape, ROWS_HELD), bytesOf(tensors[n]!.data)]));
    return [name, path] as const;
  });
  const open = inputs.some(({ shape }) => shape.slice(1).includes(null));
  return { rows: Object.fromEntries(files), open };
}
