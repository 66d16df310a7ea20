/** What `tandem run` tells a person on stderr: the plan before it starts, and what came true at the end. */
import { sectionsOf, type Taking } from '../arena/turns.js';
import { ENGINES } from '../engine/registry.js';
import type { StageSummary, Summary } from '../job/summary.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import type { Plan } from '../plan/plan.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatLayerName } from './layer-name.js';
import { formatRate, formatRows, formatShare } from './progress.js';
import { formatTable } from './table.js';

const CUT_BY: Record<Plan['cutBy'], string> = {
  layers: 'cut where you said',
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
  const cut = sectionsOf(plan.stages).length > 1 ? `\n${CUT_BY[plan.cutBy]}` : '';
  return `${formatTable(columns, rows)}${cut}\nmicro-batches of ${formatRows(plan.microBatch)}, at most ${plan.depth} in flight\n${cautions(plan)}`;
}

/** `1 beside 0`: both compute the same layers. */
export function stageName(stages: readonly Taking[], j: number): string {
  const section = sectionsOf(stages).find(({ stages: own }) => own.includes(j))!;
  return section.stages[0] === j ? String(j) : `${j} beside ${section.stages[0]}`;
}

function cautions({ stages }: Plan): string {
  return stages
    .flatMap(({ engine, provider }, j) => {
      const caution = ENGINES[engine].cautions[provider];
      return caution ? [`stage ${j}: ${caution}\n`] : [];
    })
    .join('');
}

/** Some engines add up in another order when they compute fewer rows at once. */
function starved({ stage, rowsAtOnce }: StageSummary): string[] {
  if (rowsAtOnce === null) return [];
  const how = `stage ${stage} ran out of memory and went on with ${formatRows(rowsAtOnce)} at once at most`;
  return [`${how}: slower, and its results may differ in the last bits from those of whole micro-batches`];
}

export function formatSummary(summary: Summary): string {
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
      ? `, ${summary.failedRows.toLocaleString('en')} failed${summary.errorsFile ? `: see ${summary.errorsFile}` : ''}`
      : '';
  const before = summary.rowsBefore > 0 ? ` after ${formatRows(summary.rowsBefore)} of earlier runs` : '';
  const ideal = summary.predicted.rowsPerSecond;
  return [
    formatTable(columns, rows),
    ...summary.stages.flatMap(starved),
    `bubble ${formatShare(summary.bubble.measured)} (${formatShare(summary.bubble.predicted)} predicted), peak memory ${formatBytes(summary.peakRssBytes)}, arena ${formatBytes(summary.arenaBytes)}`,
    `${formatRows(summary.rows - summary.rowsBefore)} in ${summary.seconds.toFixed(2)} s${before}: ${formatRate(summary.rowsPerSecond)} rows/s (${formatRate(ideal)} at best on these stages); planned and loaded in ${summary.loadSeconds.toFixed(2)} s${failed}`,
    '',
  ].join('\n');
}
