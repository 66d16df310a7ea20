/** Bench: memory does not grow with the job. The same model over more and more rows, and the most that each process held. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeModel } from '../scripts/make-model.js';
import { makeRows } from '../scripts/make-rows.js';
import { formatBytes } from '../src/cli/bytes.js';
import { formatRate } from '../src/cli/progress.js';
import { formatTable } from '../src/cli/table.js';
import type { Summary } from '../src/job/summary.js';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', multiple: true, default: ['1000', '10000', '100000', '1000000'] },
    format: { type: 'string', default: 'jsonl' },
    'micro-batch': { type: 'string', default: '256' },
    json: { type: 'string' },
  },
});

/** Elements of a row. */
const WIDTH = 16;
const TANDEM = resolve(import.meta.dirname, '../src/cli/tandem.js');

interface Result {
  readonly rows: number;
  readonly inputBytes: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly coordinator: number;
  readonly stages: readonly number[];
}

const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
try {
  const model = await makeModel('mlp', join(folder, 'model'), { length: WIDTH });
  report(flags.rows.map((rows) => measure(model, Number(rows))));
} finally {
  rmSync(folder, { recursive: true });
}

/** One run in a process of its own, two stages in theirs. */
function measure(model: string, rows: number): Result {
  const input = join(folder, `in.${flags.format}`);
  makeRows(input, rows, [WIDTH]);
  const stages = [
    '--stage',
    'cpu,layers=0..1,threads=1',
    '--stage',
    'cpu,layers=2..3,threads=1',
    '--isolation',
    'process',
  ];
  const args = [
    'run',
    model,
    '-i',
    input,
    '-o',
    join(folder, `out.${flags.format}`),
    '-b',
    flags['micro-batch'],
    ...stages,
  ];
  const { stdout, status } = spawnSync(process.execPath, [TANDEM, ...args, '--force', '--json', '--quiet'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`the run ended with status ${status}`);
  const summary: Summary = JSON.parse(stdout);
  const peaks = summary.stages.map(({ peakRssBytes }) => peakRssBytes!);
  const { seconds, rowsPerSecond, peakRssBytes } = summary;
  const coordinator = peaks.reduce((rest, peak) => rest - peak, peakRssBytes);
  return { rows, inputBytes: statSync(input).size, seconds, rowsPerSecond, coordinator, stages: peaks };
}

function report(results: readonly Result[]): void {
  const titles = ['rows', 'input', 'seconds', 'rows/s', 'coordinator', 'stage 0', 'stage 1'];
  const rows = results.map(({ rows, inputBytes, seconds, rowsPerSecond, coordinator, stages }) => [
    rows.toLocaleString('en'),
    formatBytes(inputBytes),
    seconds.toFixed(1),
    formatRate(rowsPerSecond),
    ...[coordinator, ...stages].map(formatBytes),
  ]);
  process.stdout.write(
    `peak resident memory; ${flags.format}, ${WIDTH} numbers a row, micro-batches of ${flags['micro-batch']}\n\n`,
  );
  process.stdout.write(
    `${formatTable(
      titles.map((title) => ({ title, right: true })),
      rows,
    )}\n`,
  );
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`);
}
