/**
 * Peak memory of the coordinator for a table of many rows: CSV in, Parquet out, all columns kept.
 * node dist/bench/table-memory.js [--rows 1000000] [--format parquet|arrow|csv]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeOnnx } from '../scripts/make-onnx.js';
import { makeTable } from '../scripts/make-table.js';

const WIDTH = 8;
const { values } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, format: { type: 'string', default: 'parquet' } },
});
const folder = mkdtempSync(join(tmpdir(), 'tandem-table-memory-'));
try {
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 2, hidden: WIDTH });
  makeTable(join(folder, 'rows.csv'), Number(values.rows), WIDTH);
  const tandem = join(import.meta.dirname, '../bundle/src/cli/tandem.js');
  const args = ['run', 'mlp', '-i', 'rows.csv', '-o', `out.${values.format}`, '-s', 'cpu', '-b', '1024', '-q'];
  const startedAt = performance.now();
  // Stages are processes, so that the figure is the coordinator's alone.
  const child = spawn(process.execPath, [tandem, ...args, '--isolation', 'process', '--allow-errors'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let peak = 0;
  const look = setInterval(() => {
    peak = Math.max(peak, peakOf(child.pid!));
  }, 50);
  const [status] = await once(child, 'exit');
  clearInterval(look);
  const seconds = (performance.now() - startedAt) / 1000;
  if (status !== 0) throw new Error(`status ${status}`);
  const [from, to] = [`rows.csv`, `out.${values.format}`].map((name) => statSync(join(folder, name)).size / 1e6);
  process.stdout.write(
    `${values.rows} rows, ${from!.toFixed(0)} MB of CSV to ${to!.toFixed(0)} MB of ${values.format}: ` +
      `peak ${(peak / 1024).toFixed(0)} MiB, ${seconds.toFixed(0)} s\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

/** The kernel's own record of the most memory, in KiB; 0 when the process has ended. */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
