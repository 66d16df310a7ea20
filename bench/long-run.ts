/** Bench: hours of work in little. Many small rows through two processes, one row in a thousand a fault, and what is held from tenth to tenth. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { formatBytes } from '../src/cli/bytes.js';
import { formatTable } from '../src/cli/table.js';
import { runJob } from '../src/job/job.js';
import { openSink } from '../src/output/open-sink.js';
import type { RowsRead, Source } from '../src/rows/source.js';
import type { Tensor } from '../src/tensor.js';
import { openChain } from '../test/fixtures/chain.js';
import { hostsOf } from '../test/fixtures/children.js';

export interface LongRun {
  readonly rows: number;
  readonly microBatch: number;
  /** Rows from one fault to the next; the rows between two deaths of a process, and two hangs. */
  readonly faultEvery: number;
  readonly deathEvery: number;
  readonly hangEvery: number;
}

/** What is held at one moment. */
export interface Held {
  readonly rows: number;
  readonly failedRows: number;
  readonly coordinatorRss: number;
  readonly stagesRss: number;
  readonly coordinatorHandles: number;
  readonly stagesHandles: number;
  /** Files in shared memory that a process of the job holds open, and those with a name. */
  readonly sharedFiles: number;
  readonly namedSharedFiles: number;
}

/** Fault marks are values that no stage before makes of a good row. */
const FAULTS = { throw: -1000, crash: -2000, hang: -3000 };
const PROVIDER = `rows:${Object.entries(FAULTS)
  .map(([fault, value]) => `${fault}=${value + 1}`)
  .join(',')}`;

/** Runs the job; `onHeld` gets the memory that is held, ten times. Resolves to the failed rows that there should be and were. */
export async function longRun(
  work: LongRun,
  onHeld: (held: Held) => void,
): Promise<{ failed: number; expected: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-long-'));
  const { microBatch } = work;
  const pipeline = await openChain({ providers: ['ok', PROVIDER], isolation: 'process', microBatch, deadlineMs: 1000 });
  let next = work.rows / 10;
  try {
    const sink = await openSink(join(folder, 'out.jsonl'), { outputs: ['y'] });
    const source = new FaultySource(work);
    const onProgress = ({ rows, failedRows }: { rows: number; failedRows: number }) => {
      if (rows < next) return;
      next += work.rows / 10;
      onHeld(heldNow(rows, failedRows));
    };
    const { failedRows } = await runJob({ pipeline, source, sink, onProgress });
    return { failed: failedRows, expected: source.faults };
  } finally {
    await pipeline.close();
    rmSync(folder, { recursive: true });
  }
}

class FaultySource implements Source {
  readonly rows: number;
  readonly rowSpecs = [{ name: 'x', dtype: 'float32' as const, shape: [4] }];
  faults = 0;
  readonly #work: LongRun;
  #next = 0;

  constructor(work: LongRun) {
    this.rows = work.rows;
    this.#work = work;
  }

  async read([into]: readonly Tensor[]): Promise<RowsRead> {
    const { shape, data } = into!;
    const rows = Math.min(shape[0]!, this.rows - this.#next);
    for (let row = 0; row < rows; row++) {
      (data as Float32Array).fill(this.#valueOf(this.#next + row), row * 4, (row + 1) * 4);
    }
    this.#next += rows;
    return { rows, failures: [], ids: null };
  }

  async close(): Promise<void> {}

  #valueOf(row: number): number {
    const { faultEvery, deathEvery, hangEvery } = this.#work;
    if (row % faultEvery !== faultEvery >> 1) return 1 + (row % 1000);
    this.faults += 1;
    const near = (every: number) => row % every < faultEvery;
    return near(hangEvery) ? FAULTS.hang : near(deathEvery) ? FAULTS.crash : FAULTS.throw;
  }
}

function heldNow(rows: number, failedRows: number): Held {
  const stages = hostsOf(process.pid);
  const sum = (of: (pid: number) => number) => stages.reduce((total, pid) => total + of(pid), 0);
  return {
    rows,
    failedRows,
    coordinatorRss: rssOf(process.pid),
    stagesRss: sum(rssOf),
    coordinatorHandles: handlesOf(process.pid).length,
    stagesHandles: sum((pid) => handlesOf(pid).length),
    sharedFiles: [process.pid, ...stages].flatMap(handlesOf).filter((path) => path.startsWith('/dev/shm/')).length,
    namedSharedFiles: readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-')).length,
  };
}

function rssOf(pid: number): number {
  const [, kibibytes = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** What each open file of a process is. */
function handlesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

async function main(): Promise<void> {
  const number = (value: number) => ({ type: 'string', default: String(value) }) as const;
  const { values: flags } = parseArgs({
    options: {
      rows: number(1_000_000),
      'micro-batch': number(100),
      'fault-every': number(1000),
      'death-every': number(20_000),
      'hang-every': number(100_000),
      json: { type: 'string' },
    },
  });
  const work: LongRun = {
    rows: Number(flags.rows),
    microBatch: Number(flags['micro-batch']),
    faultEvery: Number(flags['fault-every']),
    deathEvery: Number(flags['death-every']),
    hangEvery: Number(flags['hang-every']),
  };
  const start = performance.now();
  const samples: (Held & { seconds: number })[] = [];
  const { failed, expected } = await longRun(work, (held) => {
    samples.push({ ...held, seconds: (performance.now() - start) / 1000 });
  });
  const titles = ['rows', 'failed', 's', 'coordinator', 'stages', 'its handles', 'theirs', 'shared files', 'named'];
  const rows = samples.map((held) => [
    held.rows.toLocaleString('en'),
    String(held.failedRows),
    held.seconds.toFixed(0),
    formatBytes(held.coordinatorRss),
    formatBytes(held.stagesRss),
    ...[held.coordinatorHandles, held.stagesHandles, held.sharedFiles, held.namedSharedFiles].map(String),
  ]);
  const columns = titles.map((title) => ({ title, right: true }));
  process.stdout.write(`${formatTable(columns, rows)}\n\n${failed} rows failed, ${expected} were faults\n`);
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ work, samples }, null, 2)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
