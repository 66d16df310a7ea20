/** What `tandem run` prints on stderr: the plan before the start, and the summary at the end. */

import { type Replica, replicaGroupsOf } from '../arena/replicas.js';
import { entryOf } from '../engine/choose.js';
import { formatRows, grouped } from '../grouped-digits.js';
import type { StageSummary, Summary } from '../job/summary.js';
import { readCores } from '../machine/machine.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { hasBudget } from '../plan/budget.js';
import { overload, type Plan } from '../plan/plan.js';
import { preparingBound } from '../plan/preparing-plan.js';
import type { RowFailure } from '../rows/source.js';
import { invarianceCaution, invarianceSummary } from './batch-invariance.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatFailure } from './failed-rows.js';
import { formatLayerName } from './layer-name.js';
import { loadLines, rotationLines } from './print-rotation.js';
import { formatRate, formatShare } from './progress.js';
import { formatTable } from './table.js';

const CUT_BY: Record<Plan['cutBy'], string> = {
  layers: 'cut by layers=',
  measured: 'cut by measured times',
  flops: 'cut by counted FLOPs, which only estimate the time of each layer; layers= sets it by hand',
  weights: 'cut by bytes of weights, since the shapes are not known; layers= sets it by hand',
};

export function formatPlan(graph: ModelGraph, plan: Plan): string {
  const rows = plan.stages.map(({ device, engine, provider, threads, workers, layers, ops }, j) => [
    stageName(plan.stages, j),
    device,
    `${engine}/${provider}`,
    `${layers.from}..${layers.to} of ${graph.layers.length}`,
    formatLayerName(graph.layers[layers.from]!.name),
    formatBytes(weightBytes(graph, ops.from, ops.to)),
    `${workers} x ${threads}`,
  ]);
  const columns = [
    { title: 'stage' },
    { title: 'device' },
    { title: 'engine' },
    { title: 'layers' },
    { title: 'from' },
    { title: 'weights', right: true },
    { title: 'workers x threads' },
  ];
  const cut = replicaGroupsOf(plan.stages).length > 1 ? `\n${CUT_BY[plan.cutBy]}` : '';
  return `${formatTable(columns, rows)}${cut}\nmicro-batches of ${formatMicroBatch(plan)}, at most ${plan.depth} in flight\n${rotationLines(
    graph,
    plan,
  )
    .map((line) => `${line}\n`)
    .join('')}${preparingLines(plan)
    .map((line) => `${line}\n`)
    .join('')}${rowAtATime(graph)}${cautions(graph, plan)}`;
}

/** `32 rows`; `1,024 tokens, 12.5 rows on average` where rows differ in length. */
export function formatMicroBatch({ microBatch, lengths }: Plan): string {
  if (!lengths) return formatRows(microBatch);
  if (lengths.inOrder) return microBatch > 1 ? `at most ${formatRows(microBatch)}` : formatRows(1);
  return `${grouped(lengths.tokens)} tokens, ${formatRate(lengths.meanRows)} rows on average`;
}

/** How rows are prepared beside the stages, and the bound that it sets. */
export function preparingLines({ preparing, expected }: Plan): string[] {
  if (!preparing) return [];
  const { what, threads, secondsPerRow, cores } = preparing;
  const bound = preparingBound(preparing);
  const where = cores > 0 ? `on ${counted(cores, 'core')} of its own` : 'on the cores of the stages, which come first';
  const pace = expected?.rowsPerSecond ?? null;
  const needs = pace === null ? '' : `, ${(secondsPerRow * pace).toPrecision(2)} cores at this pace`;
  const sets = pace !== null && pace >= 0.97 * bound ? '; it sets the pace' : '';
  return [
    `to ${what} takes ${(secondsPerRow * 1e3).toPrecision(3)} ms a row${needs}: ${counted(threads, 'thread')} ${where}, at most ${formatRate(bound)} rows/s${sets}`,
  ];
}

/** Printed with every plan: it explains micro-batches of one row. */
export function rowAtATime({ oneRow }: ModelGraph): string {
  return oneRow ? 'the model takes any number of rows by its signature, and computes one row at a time\n' : '';
}

/** `1, replica of 0`: both compute the same layers. */
export function stageName(stages: readonly Replica[], j: number): string {
  const replicaGroup = replicaGroupsOf(stages).find(({ stages: own }) => own.includes(j))!;
  return replicaGroup.stages[0] === j ? String(j) : `${j}, replica of ${replicaGroup.stages[0]}`;
}

/** A notice if more threads are asked for than there are cores. */
export function overloadCaution({ stages, expected }: Plan): string[] {
  const cores = readCores();
  const threads = overload(stages, cores);
  if (threads === null) return [];
  const faster = expected?.others?.filter(({ rowsPerSecond }) => (rowsPerSecond ?? 0) > expected.rowsPerSecond) ?? [];
  const best = faster.toSorted((a, b) => b.rowsPerSecond! - a.rowsPerSecond!)[0];
  const instead = best
    ? `${printable(best.name)} would do ${formatRate(best.rowsPerSecond!)} rows/s`
    : 'fewer stages, workers= or threads= would do as well';
  return [`the CPU stages keep ${threads} threads busy on ${counted(cores, 'core')}, which does not pay: ${instead}`];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function cautions({ fixedBatch }: ModelGraph, plan: Plan): string {
  const lines = [...invarianceCaution(plan, fixedBatch), ...overloadCaution(plan), ...budgetCaution(plan)].map(
    (line) => `${line}\n`,
  );
  return [...lines, providerCautions(plan)].join('');
}

/** The memory of threads of one process cannot be measured separately. */
function budgetCaution({ stages, isolation }: Plan): string[] {
  if (isolation === 'process' || !hasBudget(stages)) return [];
  return ['caution: stages that are threads share the memory of one process: memory= limits only their weights'];
}

function providerCautions({ stages }: Plan): string {
  return stages
    .flatMap(({ engine, provider }, j) => {
      const caution = entryOf(engine).providers.find(({ name }) => name === provider)?.caution;
      return caution ? [`stage ${j}: ${caution}\n`] : [];
    })
    .join('');
}

/** Some engines add in another order when they compute fewer rows at once. */
function starved({ stage, rowsAtOnce }: StageSummary): string[] {
  if (rowsAtOnce === null) return [];
  const how = `stage ${stage} ran out of memory and continued with at most ${formatRows(rowsAtOnce)} at once`;
  return [`${how}: this is slower, and its results may differ in the last bits from those of whole micro-batches`];
}

/** The first failed row's error, and the flag that would let such rows pass. */
function firstReason({ rows, rowsBefore, failedRows }: Summary, first: RowFailure): string[] {
  const isAll = rowsBefore === 0 && failedRows === rows;
  const lines = [`${isAll ? 'every row failed; the first' : 'the first failed row'}: ${formatFailure(first)}`];
  if (first.code === 'TANDEM_ROW_NOT_FINITE') lines.push('--allow-non-finite lets rows with NaN and infinities pass');
  return lines;
}

function nonFinite({ nonFiniteRows, rows, failedRows }: Summary): string[] {
  if (nonFiniteRows === 0) return [];
  const of = `${grouped(nonFiniteRows)} of ${formatRows(rows - failedRows)}`;
  return [`warning: the results of ${of} hold NaN or an infinity`];
}

/** The threads that prepared the rows, as a line below the stages. */
function preparingRow({ preparing }: Summary): string[][] {
  if (!preparing) return [];
  const { what, threads, busySeconds, utilisation } = preparing;
  const who = `${what}, ${counted(threads, 'thread')}`;
  return [['rows', 'cpu', who, '', `${busySeconds.toFixed(2)} s`, formatShare(utilisation)]];
}

/** `first` is the first row that failed in this run; `null` if it was printed already. */
export function formatSummary(summary: Summary, first: RowFailure | null = null): string {
  const rows = summary.stages.map((stage, j) => [
    stageName(summary.stages, j),
    stage.device,
    printable(
      stage.ranOn === stage.device.split(':')[0] ? stage.deviceName : `${stage.deviceName} (not ${stage.device})`,
    ),
    `${stage.layers.from}..${stage.layers.to}`,
    `${stage.busySeconds.toFixed(2)} s`,
    formatShare(stage.utilisation),
  ]);
  const columns = [
    { title: 'stage' },
    { title: 'device' },
    { title: 'ran on' },
    { title: 'layers' },
    { title: 'busy', right: true },
    { title: 'of the time', right: true },
  ];
  const failed =
    summary.failedRows > 0
      ? `, ${grouped(summary.failedRows)} failed${summary.errorsFile ? `: see ${summary.errorsFile}` : ''}`
      : '';
  const before = summary.rowsBefore > 0 ? ` after ${formatRows(summary.rowsBefore)} of earlier runs` : '';
  const ideal = summary.predicted.rowsPerSecond;
  return [
    formatTable(columns, [...rows, ...preparingRow(summary)]),
    ...summary.stages.flatMap(starved),
    ...loadLines(summary.stages),
    ...invarianceSummary({ ...summary, microBatch: summary.microBatchRows }),
    ...nonFinite(summary),
    ...summary.cards.flatMap(({ notes }) => notes),
    `bubble ${formatShare(summary.bubble.measured)} (${formatShare(summary.bubble.predicted)} predicted), peak memory ${formatBytes(summary.peakRssBytes)}, arena ${formatBytes(summary.arenaBytes)}`,
    `${formatRows(summary.rows - summary.rowsBefore)} in ${summary.seconds.toFixed(2)} s${before}: ${formatRate(summary.rowsPerSecond)} rows/s (${formatRate(ideal)} at best on these stages); planned and loaded in ${summary.loadSeconds.toFixed(2)} s${failed}`,
    ...(first ? firstReason(summary, first) : []),
    '',
  ].join('\n');
}
