/** What the demo tells of its runs, as text. */
import { formatRate } from '../../src/cli/progress.js';
import { formatTable } from '../../src/cli/table.js';
import type { Summary } from '../../src/job/summary.js';
import { drawTimeline } from '../../src/pipeline/draw-timeline.js';
import type { MeasuredRun } from './measured-run.js';

const LABEL_WIDTH = 30;
const RATE_WIDTH = 8;
/** Micro-batches that go through the last stage in the time that is drawn. */
const DRAWN = 12;
const PICTURE_WIDTH = 80;

/** Above the lines of rates. */
export const RATES_TITLE = ''.padEnd(LABEL_WIDTH) + 'rows/s'.padStart(RATE_WIDTH);

/** One line of rates; `others` are the runs that it is set against, by the words for them. */
export function formatRun(label: string, run: MeasuredRun, others: Readonly<Record<string, MeasuredRun>> = {}): string {
  const against = Object.entries(others).map(([words, other]) => `${(rate(run) / rate(other)).toFixed(2)} x ${words}`);
  return `${label.padEnd(LABEL_WIDTH)}${formatRate(rate(run)).padStart(RATE_WIDTH)}   ${against.join(', ')}`.trimEnd();
}

/** `whole model, cpu, 2 threads` */
export function wholeLabel({ summary }: MeasuredRun): string {
  const { device, threads } = summary.stages[0]!;
  return `whole model, ${device === 'cpu' ? `cpu, ${counted(threads, 'thread')}` : device}`;
}

export function faster(a: MeasuredRun, b: MeasuredRun): MeasuredRun {
  return rate(a) >= rate(b) ? a : b;
}

/** Empty where the split has paid. */
export function formatLoss(split: MeasuredRun, whole: MeasuredRun): string {
  if (rate(split) >= rate(whole)) return '';
  const { device } = whole.summary.stages[0]!;
  return `Whole on the ${device} is faster here: so small a model fits, and need not be cut.`;
}

/** Where each stage really ran. */
export function formatStages({ stages }: Summary): string {
  const rows = stages.map(({ stage, ranOn, deviceName, provider, threads, layers, utilisation }) => [
    String(stage),
    ranOn,
    provider,
    `${layers.from}..${layers.to} of ${layers.of}`,
    String(threads),
    `${Math.round(utilisation * 100)} %`,
    deviceName,
  ]);
  const titles = ['stage', 'ran on', 'provider', 'layers', 'threads', 'busy', 'device'];
  return formatTable(
    titles.map((title) => ({ title })),
    rows,
  );
}

/** The ends of both runs, on one scale of time. */
export function formatPictures(oneAtATime: MeasuredRun, atOnce: MeasuredRun): string {
  const { stages } = atOnce.summary;
  const names = stages.map(({ stage, ranOn }) => `${stage} ${ranOn}`);
  const shown = atOnce.spans.filter(({ stage }) => stage === stages.length - 1).slice(-DRAWN);
  const length = endOf(atOnce) - Math.min(...shown.map(({ acceptedAt }) => acceptedAt));
  const draw = (run: MeasuredRun) =>
    drawTimeline(run.spans, { names, width: PICTURE_WIDTH, from: endOf(run) - length, to: endOf(run) });
  return [
    'One at a time, the last micro-batches by their numbers:',
    draw(oneAtATime),
    'At once, in the same time:',
    draw(atOnce),
  ].join('\n');
}

export function counted(n: number, noun: string): string {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;
}

function rate({ summary }: MeasuredRun): number {
  return summary.rowsPerSecond;
}

function endOf({ spans }: MeasuredRun): number {
  return Math.max(...spans.map(({ finishedAt }) => finishedAt));
}
