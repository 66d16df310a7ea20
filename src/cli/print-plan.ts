/** Prints a measured plan: what each stage does, why it is cut there, and the alternatives. */

import { replicaGroupsOf } from '../arena/replicas.js';
import { formatRows } from '../grouped-digits.js';
import { formatBusy } from '../machine/busy.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import type { Alternative, Expectation, Plan } from '../plan/plan.js';
import { timeEstimateOf } from '../timeline/estimate.js';
import { invarianceCaution } from './batch-invariance.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatLayerName } from './layer-name.js';
import { rotationLines } from './print-rotation.js';
import { formatMicroBatch, overloadCaution, preparingLines, rowAtATime, stageName } from './print-run.js';
import { formatClock, formatRate, formatShare } from './progress.js';
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

/** For a plan that was measured; `rows` of the job, `null` if unknown. */
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
  const interval = (plan.lengths?.meanRows ?? plan.microBatch) / expected.rowsPerSecond;
  const bound =
    interval > 0 && expected.lowerBound > 0
      ? `; no cut of this topology can be below ${(expected.lowerBound * 1e3).toPrecision(3)} ms`
      : '';
  return [
    formatTable(COLUMNS, rows),
    `micro-batches of ${formatMicroBatch(plan)}, at most ${plan.depth} in flight, stages as ${plan.isolation === 'process' ? 'processes' : 'threads'}`,
    `${formatRate(expected.rowsPerSecond)} rows/s ${seenIn(expected)}, bubble ${formatShare(expected.bubble)}: a micro-batch every ${(interval * 1e3).toPrecision(3)} ms${bound}`,
    ...rotationLines(graph, plan),
    ...preparingLines(plan),
    ...(graph.oneRow ? [rowAtATime(graph).trimEnd()] : []),
    ...formatTimeEstimate(plan, rowsOfJob),
    ...recommendation(plan),
    ...invarianceCaution(plan, graph.fixedBatch),
    ...overloadCaution(plan),
    ...formatBusy(expected.busy, 'this was measured').map((text) => `${text}; the next run measures anew`),
    ...formatAlternatives(expected),
    '',
  ].join('\n');
}

function seenIn({ verified, noise }: Expectation): string {
  if (!verified) return 'estimated from the profile';
  return `measured in a trial${noise === undefined ? '' : `, with ${formatShare(noise)} between its measurements`}`;
}

function why({ stages }: Plan, j: number, isSlowest: boolean): string {
  const replicaGroups = replicaGroupsOf(stages);
  const { stages: own, roundRobin } = replicaGroups.find((replicaGroup) => replicaGroup.stages.includes(j))!;
  if (own.length > 1) return `${stages[j]!.turns ?? 1} of ${roundRobin.length} micro-batches, round-robin`;
  if (replicaGroups.length === 1) return 'the whole model';
  return isSlowest ? 'the slowest: sets the pace' : 'keeps up with the slowest';
}

/** The time estimate of the job, with filling, emptying and the slower first micro-batches. */
function formatTimeEstimate(plan: Plan, rows: number | null): string[] {
  const promised = rows === null ? null : timeEstimateOf(plan, rows);
  if (!promised) return [];
  const { seconds } = promised;
  const time = seconds < 100 ? `${seconds.toPrecision(3)} s` : formatClock(seconds);
  return [`${formatRows(rows!)} in ${time}: ${formatRate(promised.rowsPerSecond)} rows/s`];
}

function recommendation({ stages }: Plan): string[] {
  return replicaGroupsOf(stages).length === 1 ? ['one stage is faster than any split here'] : [];
}

function formatAlternatives({ others = [] }: Expectation): string[] {
  if (others.length === 0) return [];
  const rate = ({ rowsPerSecond }: Alternative) => (rowsPerSecond === null ? '' : formatRate(rowsPerSecond));
  const rows = others.map((alternative) => [
    printable(alternative.name),
    rate(alternative),
    printable(alternative.why),
  ]);
  return ['', formatTable([{ title: 'not taken' }, { title: 'rows/s', right: true }, { title: 'why' }], rows)];
}
