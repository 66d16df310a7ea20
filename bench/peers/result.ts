/** What was found of a case: as data that is kept, and as the table that is printed. */
import { type Estimate, holdsOne } from '../../src/bench/statistics.js';
import { formatTable } from '../../src/cli/table.js';
import type { MachineFacts } from '../../src/machine/schema.js';
import { geometricMean } from '../../src/planner/measure/geometric-mean.js';

export interface PeerResult {
  readonly name: string;
  readonly version: string;
  readonly batch: number;
  readonly rowsPerSecond: Estimate;
  /** Over the first peer in the same round. */
  readonly toFirst: Estimate;
}

export interface SubjectResult {
  readonly subject: string;
  readonly date: string;
  readonly machine: MachineFacts;
  /** Tokens of a row, where the model leaves that open. */
  readonly length: number | null;
  /** Of each run. */
  readonly rows: number;
  /** The first is the baseline. */
  readonly peers: readonly PeerResult[];
  /** The first peer over itself, measured a second time in every round. */
  readonly again: Estimate;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

export function formatSubject({ subject, length, machine, rows, peers, again, skipped }: SubjectResult): string {
  const bounds = ({ low, high }: Estimate) => `${low.toFixed(2)} … ${high.toFixed(2)}`;
  const cells = peers.map(({ name, version, batch, rowsPerSecond, toFirst }) => [
    name,
    rowsPerSecond.median.toPrecision(4),
    toFirst.median.toFixed(2),
    bounds(toFirst),
    String(batch),
    version,
  ]);
  const titles = [subject, 'rows/s', 'x first', 'at 95 %', 'batch', 'version'];
  const columns = titles.map((title, c) => ({ title, right: c > 0 && c < 5 }));
  return [
    formatTable(columns, cells),
    `A/A ${again.median.toFixed(3)}, ${bounds(again)}${holdsOne(again) ? '' : ': NOT 1, the machine was disturbed'}; ${rows} rows ${length ? `of ${length} tokens ` : ''}a run; ${machine.cpu} x ${machine.cores}, Node ${machine.node}`,
    ...skipped.map(({ name, reason }) => `${name}: skipped: ${reason}`),
  ].join('\n');
}

/** Over the cases with the same baseline. */
export function formatMeans(results: readonly SubjectResult[]): string {
  const baselines = new Set(results.map(({ peers }) => peers[0]?.name));
  return [...baselines]
    .map((baseline) => {
      const ratios = results
        .filter(({ peers }) => peers[0]?.name === baseline)
        .flatMap(({ peers }) => peers.filter(({ name }) => name === 'tandem').map(({ toFirst }) => toFirst.median));
      return ratios.length > 0
        ? `tandem is ${geometricMean(ratios).toFixed(2)} x ${baseline} (geometric mean of ${ratios.length})\n`
        : '';
    })
    .join('');
}
