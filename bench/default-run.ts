/**
 * Bench: the bare `tandem run` of the demo's model against every micro-batch and layout that a user could name: -b 1 to 256 in one stage, in two
 * stages and in two workers. Whole commands, in interleaved rounds; the least time of each counts. The aim is 1.05 x the best.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { machineFacts } from '../src/machine/facts.js';
import { openModel } from '../src/model/open.js';
import { emptyRows, timeJob } from './plan-cost/timed-job.js';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    sizes: { type: 'string', default: '1,4,16,32,64,128,256' },
  },
});

const LAYOUTS: Readonly<Record<string, readonly string[]>> = {
  'one stage': ['-s', 'cpu'],
  'two stages': ['-s', 'cpu,threads=1', '-s', 'cpu,threads=1'],
  'two workers': ['-s', 'cpu,threads=1,workers=2'],
};
const DEMO = resolve(import.meta.dirname, '../../scripts/demo/model/model.json');

const rows = Number(flags.rows);
const work = mkdtempSync(join(tmpdir(), 'tandem-default-'));
try {
  const inputs = emptyRows(work, await openModel(DEMO), rows, 0);
  const least = new Map<string, number>();
  const run = async (name: string, cache: string, ...args: string[]) => {
    const typed = ['run', DEMO, ...inputs, '--output', join(work, 'out.npy'), '--force-new', '--force', ...args];
    const { seconds } = await timeJob({ cache: join(work, cache), args: typed, rows, most: 60 });
    least.set(name, Math.min(seconds, least.get(name) ?? Number.POSITIVE_INFINITY));
    process.stderr.write(`${name}: ${seconds.toFixed(2)} s\n`);
  };
  for (let round = 0; round < Number(flags.rounds); round++) {
    await run('nothing named, empty cache', `empty-${round}`);
    await run('nothing named, second run', `empty-${round}`);
    for (const size of flags.sizes.split(',')) {
      for (const [name, stages] of Object.entries(LAYOUTS)) {
        const known = least.get(`${name}, -b ${size}`);
        const best = Math.min(...least.values());
        // What is far from the best is not tried again.
        if (known && known > 1.3 * best) continue;
        await run(`${name}, -b ${size}`, 'hand', '--plan', 'quick', ...stages, '-b', size);
      }
    }
  }
  report(least);
} finally {
  rmSync(work, { recursive: true });
}

function report(least: ReadonlyMap<string, number>): void {
  const byHand = [...least].filter(([name]) => !name.startsWith('nothing')).sort(([, a], [, b]) => a - b);
  const best = byHand[0]![1];
  const shown = [
    ...[...least].filter(([name]) => name.startsWith('nothing')),
    ...byHand.slice(0, 5),
    ...byHand.slice(-2),
  ];
  const lines = shown.map(([name, seconds]) => [name, seconds.toFixed(2), (seconds / best).toFixed(2)]);
  const { cpu, cores, node, system } = machineFacts();
  const columns = [{ title: `${rows} rows` }, { title: 's', right: true }, { title: 'x best by hand', right: true }];
  process.stdout.write(`${cpu}, ${cores} cores, ${system}, Node ${node}\n${formatTable(columns, lines)}\n`);
}
