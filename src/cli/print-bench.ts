/** What `tandem bench` prints on stdout: the cases, the gain by overlap, the recommendation. */
import type { CaseChange, Comparison } from '../bench/compare.js';
import type { BenchResult, CaseResult, StageResult } from '../bench/result.js';
import { ENOUGH, type Estimate, holdsOne } from '../bench/statistics.js';
import { invarianceCaution } from './batch-invariance.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatRate } from './progress.js';
import { formatTable } from './table.js';

const percent = (share: number, digits = 1) => `${(share * 100).toFixed(digits)} %`;
const milliseconds = (seconds: number) => (seconds * 1e3).toFixed(seconds < 0.01 ? 2 : 1);
const micros = (seconds: number) => `${(seconds * 1e6).toFixed(0)} µs`;

export function formatBench(result: BenchResult): string {
  const { machine, model, cases, skipped, seconds } = result;
  const inputs = model.inputs.map(({ name, dtype, shape }) => `${printable(name)} ${dtype} [${shape.join(', ')}]`);
  const most = Math.max(...cases.map(({ repetitions }) => repetitions.length));
  return [
    `${printable(model.path)}: ${model.engine}, ${model.layers} layers, ${formatBytes(model.weightBytes)} of weights; a row is ${inputs.join(', ')}`,
    `${machine.cpu} x ${machine.cores}, Node ${machine.node}${machine.cards.length > 0 ? `, ${machine.cards.join(', ')}` : ''}; ${cases[0]!.rows} rows a run, medians of ${most} interleaved rounds, with the bounds that hold the true median in 95 cases of 100, ${seconds.took.toFixed(0)} s in all`,
    ...formatInvariance(result),
    '',
    formatCases(cases),
    '',
    ...skipped.map(({ name, reason }) => `not measured: ${name}: ${printable(reason)}`),
    ...formatNoise(cases),
    ...formatOverlap(result),
    ...formatMemory(result),
    ...formatSweep(result),
    '',
    ...formatRecommendation(result),
    '',
  ].join('\n');
}

/** The notice on batch invariance that a run with the best case's micro-batch would print. */
export function formatInvariance({ model, cases, verdict }: BenchResult): string[] {
  const { microBatch } = cases.find(({ name }) => name === verdict.best)!;
  return invarianceCaution({ batchInvariant: model.batchInvariant, microBatch }, model.fixedBatch ?? null);
}

function formatCases(cases: readonly CaseResult[]): string {
  const titles = [
    'case',
    'rows/s',
    '±',
    'x first',
    'micro-batch',
    'depth',
    'stages ms',
    'weights',
    'arena',
    'peak memory',
  ];
  const rows = cases.map((each) => [
    each.name,
    formatRate(each.rowsPerSecond),
    percent(each.spread),
    formatRatio(each.toFirst),
    String(each.microBatch),
    String(each.depth),
    each.stages.map(({ seconds }) => milliseconds(seconds)).join(' + '),
    formatBytes(each.weightBytes),
    formatBytes(each.arenaBytes),
    each.peakRssBytes === null ? 'shared' : formatBytes(each.peakRssBytes),
  ]);
  return formatTable(
    titles.map((title, c) => ({ title, right: c > 0 })),
    rows,
  );
}

function formatOverlap({ overlap, cases }: BenchResult): string[] {
  if (!overlap) return [];
  const named = (name: string) => cases.find((each) => each.name === name)!;
  const pipelined = named(overlap.pipelined);
  const sequential = named(overlap.sequential);
  return [
    `overlap       ${overlap.speedUp.toFixed(2)} x the same slices run sequentially; the limit is ${overlap.limit.toFixed(2)} (${overlap.idealSpeedUp.toFixed(2)} for these rows), and the cores slow each other ${overlap.contention.toFixed(2)} x`,
    `efficiency    ${pipelined.efficiency.toFixed(3)} of what the stages' own times allow; bubble ${percent(pipelined.bubble.measured)}, ${percent(pipelined.bubble.predicted)} of it from filling and uneven stages`,
    ...pipelined.stages.slice(1).map((stage, j) => formatHop(stage, sequential.stages[j + 1]!, j + 1)),
    `coordinator   ${micros(pipelined.coordinatorSeconds)} of processor time for a micro-batch in a stage; at the median ${micros(pipelined.coordinatorOwnSeconds)} without copying rows in, which takes ${micros(pipelined.copySeconds)} a micro-batch`,
  ];
}

/** `1.62 (1.58 … 1.66)`. */
function formatRatio({ median, low, high }: Estimate): string {
  return `${median.toFixed(2)} (${low.toFixed(2)} … ${high.toFixed(2)})`;
}

/** The same case measured twice: the ratio should contain 1. */
function formatNoise(cases: readonly CaseResult[]): string[] {
  const again = cases.find(({ kind }) => kind === 'again');
  if (!again) return [];
  const { toFirst: found, repetitions } = again;
  const sure = repetitions.length < ENOUGH ? `; too few rounds to be sure, give more --seconds` : '';
  const within = holdsOne(found) ? 'which contain 1' : 'which do NOT contain 1: other work disturbed the machine';
  const bounds = `${found.low.toFixed(3)} … ${found.high.toFixed(3)}`;
  return [
    `A/A           the first case twice in every round: ${found.median.toFixed(3)} x itself, ${bounds}, ${within}${sure}`,
  ];
}

function formatHop({ liveBytes, hopSeconds }: StageResult, sequential: StageResult, stage: number): string {
  const bare = sequential.hopSeconds;
  const share = bare / sequential.seconds;
  return `into stage ${stage}  ${formatBytes(liveBytes)} a micro-batch in ${micros(bare)} run sequentially (${percent(share)} of the stage), ${micros(hopSeconds)} when pipelined`;
}

/** Of the best case: the peak memory of each stage's process, by what it consists of. */
function formatMemory({ cases, verdict }: BenchResult): string[] {
  const { stages, arenaBytes } = cases.find(({ name }) => name === verdict.best)!;
  return stages.flatMap(({ peakRssBytes: peak, weightBytes, workers }, j) => {
    if (peak === null) return [];
    const weights = workers * weightBytes;
    const rest = Math.max(0, peak - weights - arenaBytes);
    return `memory        stage ${j} held ${formatBytes(peak)}: weights ${formatBytes(weights)}, arena ${formatBytes(arenaBytes)}, engine and workspace ${formatBytes(rest)}`;
  });
}

function formatSweep({ sweep }: BenchResult): string[] {
  const lines: string[] = [];
  for (const layout of new Set(sweep.microBatch.map(({ layout }) => layout))) {
    const own = sweep.microBatch
      .filter((point) => point.layout === layout)
      .toSorted((a, b) => a.microBatch - b.microBatch);
    lines.push(
      `micro-batch   ${layout}: ${own.map((point) => `${point.microBatch} ${formatRate(point.rowsPerSecond)}`).join(', ')}`,
    );
  }
  const depths = sweep.depth.toSorted((a, b) => a.depth - b.depth);
  if (depths.length > 0) {
    lines.push(
      `depth         ${depths[0]!.layout}: ${depths.map((point) => `${point.depth} ${formatRate(point.rowsPerSecond)}`).join(', ')}`,
    );
  }
  for (const { memoryBytes, layers, microBatch, rowsPerSecond, promisedBytes, heldBytes } of sweep.budget) {
    const cut = `layers ${layers.from}..${layers.to}, micro-batch ${microBatch}`;
    const required = promisedBytes === null ? '' : `, ${formatBytes(promisedBytes)} required`;
    const held = heldBytes === null ? '' : `, ${formatBytes(heldBytes)} held`;
    const outcome = `${formatRate(rowsPerSecond)} rows/s, ${cut}${required}${held}`;
    lines.push(`budget        stage 0 in ${formatBytes(memoryBytes)}: ${outcome}`);
  }
  return lines;
}

function formatRecommendation({ verdict, cases }: BenchResult): string[] {
  const { best, alike, speedUp, flags, helps } = verdict;
  const first = best === cases[0]!.name ? '' : `, ${speedUp.toFixed(2)} x the first`;
  return [
    `best: ${best}${first}`,
    `  ${flags}`,
    ...(alike.length > 0 ? [`not distinguishable in these rounds: ${alike.join('; ')}`] : []),
    ...helps.map(
      ({ change, gain, why }, n) =>
        `${n === 0 ? 'would help most' : 'then'}: ${change}, up to ${gain.toFixed(2)} x (${why})`,
    ),
  ];
}

export function formatComparison({ cases, unmatched, differences }: Comparison, path: string): string {
  const titles = ['case', 'before', 'now', 'ratio', 'noise', ''];
  const rows = cases.map((change: CaseChange) => [
    change.name,
    formatRate(change.before),
    formatRate(change.now),
    change.ratio.toFixed(3),
    `± ${percent(change.noise)}`,
    change.verdict === 'same' ? '' : change.verdict,
  ]);
  const columns = titles.map((title, c) => ({ title, right: c > 0 && c < 5 }));
  return [
    `against ${printable(path)}, rows/s`,
    formatTable(columns, rows),
    ...unmatched.map((name) => `only in one of the two: ${name}`),
    ...differences.map((difference) => `different: ${printable(difference)}`),
    '',
  ].join('\n');
}
