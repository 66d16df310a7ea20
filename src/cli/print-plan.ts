/** A measured plan as a person reads it: what each stage does, why it is cut there, and what was not taken. */
import { sectionsOf } from '../arena/turns.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { promiseOf } from '../pipeline/promise.js';
import type { Expectation, Plan, Rival } from '../plan/plan.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatLayerName } from './layer-name.js';
import { stageName } from './print-run.js';
import { formatClock, formatRate, formatRows, formatShare } from './progress.js';
import { formatTable } from './table.js';

const COLUMNS = [
  { title: 'stage' },
  { title: 'device' },
  { title: 'layers' },
  { title: 'from' },
  { title: 'workers x threads' },
  { title: 'ms', right: true },
  { title: 'busy', right: true },
  { title: 'weights', right: true },
  { title: 'holds', right: true },
  { title: 'may hold', right: true },
  { title: 'why' },
];

/** For a plan that was measured; `rows` of the job, where they are known. */
export function formatMeasuredPlan(
  graph: ModelGraph,
  plan: Plan,
  expected: Expectation,
  rowsOfJob: number | null = null,
): string {
  const slowest = Math.max(...expected.stages.map(({ utilisation }) => utilisation));
  const rows = plan.stages.map(({ device, threads, workers, layers, ops }, j) => {
    const { seconds, bytes, budget, utilisation } = expected.stages[j]!;
    return [
      stageName(plan.stages, j),
      device,
      `${layers.from}..${layers.to} of ${graph.layers.length}`,
      formatLayerName(graph.layers[layers.from]!.name),
      `${workers} x ${threads}`,
      (seconds * 1e3).toPrecision(3),
      formatShare(utilisation),
      formatBytes(weightBytes(graph, ops.from, ops.to)),
      formatBytes(bytes),
      budget === null ? '' : formatBytes(budget),
      why(plan, j, utilisation === slowest),
    ];
  });
  const interval = plan.microBatch / expected.rowsPerSecond;
  const bound =
    interval > 0 ? `; no cut of this form can be below ${(expected.lowerBound * 1e3).toPrecision(3)} ms` : '';
  return [
    formatTable(COLUMNS, rows),
    `micro-batches of ${formatRows(plan.microBatch)}, at most ${plan.depth} in flight, stages as ${plan.isolation === 'process' ? 'processes' : 'threads'}`,
    `${formatRate(expected.rowsPerSecond)} rows/s ${expected.verified ? 'seen in a trial' : 'reckoned from the profile'}, bubble ${formatShare(expected.bubble)}: a micro-batch every ${(interval * 1e3).toPrecision(3)} ms${bound}`,
    ...formatPromise(plan, rowsOfJob),
    ...verdict(plan),
    ...formatRivals(expected),
    '',
  ].join('\n');
}

function why({ stages }: Plan, j: number, isSlowest: boolean): string {
  const sections = sectionsOf(stages);
  const { stages: own, order } = sections.find((section) => section.stages.includes(j))!;
  if (own.length > 1) return `${stages[j]!.turns ?? 1} of ${order.length} micro-batches, in turn`;
  if (sections.length === 1) return 'the whole model';
  return isSlowest ? 'the slowest: sets the pace' : 'as much as keeps up';
}

/** What the job will take, filling and emptying and its first runs taken in. */
function formatPromise(plan: Plan, rows: number | null): string[] {
  const promised = rows === null ? null : promiseOf(plan, rows);
  if (!promised) return [];
  const { seconds } = promised;
  const time = seconds < 100 ? `${seconds.toPrecision(3)} s` : formatClock(seconds);
  return [`${formatRows(rows!)} in ${time}: ${formatRate(promised.rowsPerSecond)} rows/s`];
}

function verdict({ stages }: Plan): string[] {
  return sectionsOf(stages).length === 1 ? ['one stage is faster than any split here'] : [];
}

function formatRivals({ others = [] }: Expectation): string[] {
  if (others.length === 0) return [];
  const rate = ({ rowsPerSecond }: Rival) => (rowsPerSecond === null ? '' : formatRate(rowsPerSecond));
  const rows = others.map((rival) => [printable(rival.name), rate(rival), printable(rival.why)]);
  return ['', formatTable([{ title: 'not taken' }, { title: 'rows/s', right: true }, { title: 'why' }], rows)];
}
