/** Bench: what the journal costs a job: node dist/bench/journal.js [--rounds 5]. The same rows through the same loaded stages into a file, with a journal and without. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeOnnx } from '../scripts/make-onnx.js';
import { makeRows } from '../scripts/make-rows.js';
import { estimate, ratioOf } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { runJob } from '../src/job/job.js';
import { openModel } from '../src/model/open.js';
import { OutputClaim } from '../src/output/claim.js';
import { DISK, type Disk, type DiskFile } from '../src/output/disk.js';
import { journalPath } from '../src/output/journal.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { makePlan } from '../src/planner/make-plan.js';
import { median } from '../src/planner/measure/median.js';
import { openSource } from '../src/rows/open-source.js';

interface Subject {
  readonly name: string;
  readonly model: string;
  readonly input: string;
  readonly output: string;
  readonly microBatch: number;
}

interface Measured {
  readonly rowsPerSecond: number;
  readonly commits: number;
  /** Milliseconds that waiting for the disk took, by commit. */
  readonly perCommit: number;
}

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const STAGE = { device: 'cpu', threads: 1 };
const TOKENS = 128;
const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
const at = (name: string) => join(folder, name);

/** Rows of a few bytes that take next to no time, and 3 MiB of output for each micro-batch, as BERT-base's last hidden state has. */
function subjects(): Subject[] {
  makeOnnx('mlp', at('small'), { layers: 2, hidden: 8 });
  makeRows(at('small.npy'), 60_000, [8]);
  makeOnnx('bert', at('bert'), { layers: 2 });
  const tokens = Array.from({ length: TOKENS }, (_, n) => 1 + n);
  const line = JSON.stringify({ inputs: { input_ids: tokens, attention_mask: tokens.map(() => 1) } });
  writeFileSync(at('bert.jsonl'), `${line}\n`.repeat(160));
  return [
    { name: '8 numbers, 16 rows', model: 'small', input: at('small.npy'), output: 'out.npy', microBatch: 16 },
    { name: 'BERT of 2 layers, 8 x 128', model: 'bert', input: at('bert.jsonl'), output: 'out.npz', microBatch: 8 },
  ];
}

/** The disk, with the time in which each sync was waited for. */
function timedDisk(output: string): { disk: Disk; syncs: { isJournal: boolean; ms: number }[] } {
  const syncs: { isJournal: boolean; ms: number }[] = [];
  const timed = (file: DiskFile, path: string): DiskFile => ({
    write: file.write.bind(file),
    read: file.read.bind(file),
    truncate: file.truncate.bind(file),
    close: file.close.bind(file),
    sync: async () => {
      const before = performance.now();
      await file.sync();
      syncs.push({ isJournal: path.startsWith(journalPath(output)), ms: performance.now() - before });
    },
  });
  const disk: Disk = {
    ...DISK,
    create: async (path) => timed(await DISK.create(path), path),
    open: async (path) => {
      const file = await DISK.open(path);
      return file && timed(file, path);
    },
  };
  return { disk, syncs };
}

async function measure(pipeline: Pipeline, { input, output: name }: Subject, journalled: boolean): Promise<Measured> {
  const output = at(name);
  const { disk, syncs } = timedDisk(output);
  const fingerprint = journalled ? {} : null;
  const claim = await OutputClaim.take(output, { disk, force: true, forceNew: true, fingerprint });
  const source = await openSource(input, pipeline.graph.inputs);
  const { plan } = pipeline;
  const sink = await claim.open(fingerprint && { fingerprint, plan, request: null, total: source.rows });
  const { rows, seconds } = await runJob({ pipeline, source, sink });
  await source.close();
  // What it begins with is synced once too, and what it is shortened to.
  const commits = Math.max(0, syncs.filter(({ isJournal }) => isJournal).length - 2);
  const waited = syncs.reduce((sum, { ms }) => sum + ms, 0);
  return { rowsPerSecond: rows / seconds, commits, perCommit: commits > 0 ? waited / commits : 0 };
}

async function compare(subject: Subject): Promise<string[]> {
  const graph = await openModel(at(subject.model));
  const source = await openSource(subject.input, graph.inputs);
  const { rowSpecs } = source;
  await source.close();
  const { microBatch } = subject;
  const plan = await makePlan(graph, { stages: [STAGE, STAGE], microBatch, rowSpecs, deadlineMs: 60_000 });
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadlineMs: 60_000 });
  const found: { without: Measured[]; with: Measured[] } = { without: [], with: [] };
  try {
    await measure(pipeline, subject, true);
    for (let round = 0; round < Number(flags.rounds); round++) {
      found.without.push(await measure(pipeline, subject, false));
      found.with.push(await measure(pipeline, subject, true));
    }
  } finally {
    await pipeline.close();
  }
  const paces = (measured: readonly Measured[]) => measured.map(({ rowsPerSecond }) => rowsPerSecond);
  const { median: ratio, low, high } = ratioOf(paces(found.with), paces(found.without));
  return [
    subject.name,
    ...[found.without, found.with].map((measured) => estimate(paces(measured)).median.toFixed(0)),
    `${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`,
    ...[median(found.with.map(({ commits }) => commits)), median(found.with.map(({ perCommit }) => perCommit))].map(
      (value) => value.toFixed(1),
    ),
  ];
}

try {
  const rows: string[][] = [];
  for (const subject of subjects()) rows.push(await compare(subject));
  const titles = ['rows', 'without, rows/s', 'with, rows/s', 'with / without', 'commits', 'ms a commit'];
  const columns = titles.map((title, c) => ({ title, right: c > 0 }));
  process.stdout.write(`${flags.rounds} rounds, interleaved\n\n${formatTable(columns, rows)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
