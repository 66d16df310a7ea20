/**
 * Kills stages while a job runs, and checks that it has no effect on the results: node dist/scripts/kill-stages.js [--kills 200] [--stages 3] [--early 3]
 * With --early SECONDS stages of whole runs are killed in the first seconds instead: while they start, are measured and load.
 * The same rows run once undisturbed and once with SIGKILLs at random times; exit status 1 if anything differs or is left behind.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { formatBytes } from '../src/cli/bytes.js';
import { formatTable } from '../src/cli/table.js';
import { openPipeline, type RowPipeline } from '../src/index.js';
import { median } from '../src/planner/measure/median.js';
import { Random } from '../src/prove/models/random.js';
import { bytesOf } from '../src/tensor.js';
import { killEarly } from './kill-stages/early.js';
import { filesInSharedMemory, held, stagesOf } from './kill-stages/processes.js';
import { makeOnnx } from './make-onnx.js';

export interface Killing {
  readonly kills: number;
  readonly stages: number;
  readonly seed: number;
  readonly onKill?: (kills: number) => void;
}

export interface Aftermath {
  readonly kills: number;
  readonly rows: number;
  readonly seconds: number;
  /** SHA-256 of all results, in order: of the run with kills and of the undisturbed run. */
  readonly hashes: readonly [string, string];
  /** Stage processes that are still running. */
  readonly orphans: number;
  /** Files that are still in shared memory. */
  readonly leftInSharedMemory: number;
  /** Medians of the first and the last quarter of the kills. */
  readonly rss: readonly [number, number];
  readonly files: readonly [number, number];
}

const MICRO_BATCH = 4;
const DEPTH = 4;
/** Largest delay in milliseconds between a finished micro-batch and the next kill. */
const LATEST = 40;

/** Rows of the model's width, always the same. */
function rowAt(index: number, width: number): Float32Array {
  return new Random(index + 1).floats(width, -1, 1);
}

export async function killStages({ kills, stages, seed, onKill = () => {} }: Killing): Promise<Aftermath> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
  try {
    const model = makeOnnx('mlp', folder);
    const startedAt = performance.now();
    const killed = await withPipeline(model, stages, (pipeline) => runKilled(pipeline, { kills, seed, onKill }));
    const seconds = (performance.now() - startedAt) / 1000;
    const orphans = stagesOf(process.pid).length;
    const left = filesInSharedMemory().length;
    const hash = await withPipeline(model, stages, (pipeline) => runInPeace(pipeline, killed.rows));
    const { rows, rss, files } = killed;
    const ends = (values: readonly number[]) => {
      const quarter = Math.max(1, values.length >> 2);
      return [median(values.slice(0, quarter)), median(values.slice(-quarter))] as const;
    };
    const hashes = [killed.hash, hash] as const;
    return { kills, rows, seconds, hashes, orphans, leftInSharedMemory: left, rss: ends(rss), files: ends(files) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function withPipeline<T>(model: string, stages: number, use: (pipeline: RowPipeline) => Promise<T>): Promise<T> {
  const options = { stages: Array.from({ length: stages }, () => ({ device: 'cpu' as const, threads: 1 })) };
  await using pipeline = await openPipeline(model, {
    ...options,
    isolation: 'process',
    microBatch: MICRO_BATCH,
    depth: DEPTH,
  });
  return await use(pipeline);
}

/** Yields rows until all kills are done, then enough rows for `depth` micro-batches. */
async function runKilled(pipeline: RowPipeline, { kills, seed, onKill }: Required<Omit<Killing, 'stages'>>) {
  const random = new Random(seed);
  const width = pipeline.inputs[0]!.shape[1]!;
  const hash = createHash('sha256');
  const rss: number[] = [];
  const files: number[] = [];
  let rows = 0;
  function* feed() {
    let row = 0;
    while (rss.length < kills) yield rowAt(row++, width);
    for (let more = DEPTH * MICRO_BATCH; more > 0; more--) yield rowAt(row++, width);
  }
  const killOne = async () => {
    await sleep(random.below(LATEST));
    const alive = stagesOf(process.pid);
    const victim = alive[random.below(alive.length)];
    if (victim === undefined) return;
    process.kill(victim, 'SIGKILL');
    const now = held();
    rss.push(now.rss);
    files.push(now.files);
    onKill(rss.length);
  };
  let killing = Promise.resolve();
  for await (const result of pipeline.run(feed())) {
    if ('error' in result) throw new Error(`row ${result.index}: ${result.error.message}`);
    for (const { data } of Object.values(result.outputs)) hash.update(bytesOf(data));
    rows += 1;
    // More micro-batches have finished than were in flight at the last kill, so every stage is alive again.
    if (rows % (MICRO_BATCH * (DEPTH + 2)) === 0 && rss.length < kills) {
      await killing;
      killing = killOne();
      await nextTurn();
    }
  }
  await killing;
  return { rows, hash: hash.digest('hex'), rss, files };
}

async function runInPeace(pipeline: RowPipeline, rows: number): Promise<string> {
  const width = pipeline.inputs[0]!.shape[1]!;
  const hash = createHash('sha256');
  const feed = Array.from({ length: rows }, (_, row) => rowAt(row, width));
  for await (const result of pipeline.run(feed)) {
    if ('error' in result) throw new Error(`row ${result.index}: ${result.error.message}`);
    for (const { data } of Object.values(result.outputs)) hash.update(bytesOf(data));
  }
  return hash.digest('hex');
}

/** Allowed growth of this process in bytes, for garbage that was not collected. */
const SLACK = 48 * 2 ** 20;

/** The claims and whether they hold. */
export function checks({ kills, rows, hashes, orphans, leftInSharedMemory, rss, files }: Aftermath) {
  return [
    {
      claim: `results of ${rows} rows are the same bytes`,
      holds: hashes[0] === hashes[1],
      found: hashes[0].slice(0, 16),
    },
    { claim: `no process is left after ${kills} kills`, holds: orphans === 0, found: String(orphans) },
    { claim: 'nothing is left in shared memory', holds: leftInSharedMemory === 0, found: String(leftInSharedMemory) },
    { claim: 'memory is flat', holds: rss[1] - rss[0] < SLACK, found: rss.map(formatBytes).join(' -> ') },
    { claim: 'open files are flat', holds: files[1] <= files[0] + 2, found: files.join(' -> ') },
  ];
}

async function main(): Promise<void> {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: { kills: text('200'), stages: text('3'), seed: text('1'), early: { type: 'string' } },
  });
  const kills = Number(values.kills);
  const onKill = (done: number) => {
    if (done % 20 === 0) process.stderr.write(`${done} of ${kills} kills\n`);
  };
  if (values.early !== undefined) {
    const seconds = Number(values.early);
    const { runs, wrong } = await killEarly({ kills, seconds, seed: Number(values.seed), onKill });
    for (const each of wrong) process.stdout.write(`${each}\n`);
    process.stdout.write(
      `${kills} SIGKILLs in the first ${seconds} s of ${runs} runs: ${runs - wrong.length} ended with 0 and the same bytes\n`,
    );
    if (wrong.length > 0) process.exitCode = 1;
    return;
  }
  const aftermath = await killStages({ kills, stages: Number(values.stages), seed: Number(values.seed), onKill });
  const found = checks(aftermath);
  const rows = found.map(({ claim, holds, found }) => [claim, holds ? 'yes' : 'NO', found]);
  process.stdout.write(`${formatTable([{ title: 'claim' }, { title: 'holds' }, { title: 'found' }], rows)}\n`);
  process.stdout.write(`${kills} SIGKILLs in ${aftermath.seconds.toFixed(1)} s, ${values.stages} stages\n`);
  if (found.some(({ holds }) => !holds)) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
