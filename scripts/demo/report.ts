/** Formats the demo's results as text. */
import { formatRate } from '../../src/cli/progress.js';
import { formatTable } from '../../src/cli/table.js';
import { drawTimeline } from '../../src/timeline/draw.js';
import type { Candidate } from './candidate.js';

/** Micro-batches of the last stage in the drawn period. */
const DRAWN = 12;
const PICTURE_WIDTH = 80;

export interface Comparison {
  /** Unsplit, on one device each. */
  readonly wholes: readonly Candidate[];
  /** Split, one micro-batch in flight. */
  readonly oneAtATime: Candidate;
  /** Split, pipelined. */
  readonly atOnce: Candidate;
}

/** The rates of all candidates, with the ratios of the pipelined one. */
export function formatRates({ wholes, oneAtATime, atOnce }: Comparison): string {
  const best = wholes.toSorted((a, b) => b.rate - a.rate)[0]!;
  const times = (than: Candidate) => `${(atOnce.rate / than.rate).toFixed(2)} x`;
  const rows = [
    ...wholes.map((whole) => [wholeName(whole), formatRate(whole.rate)]),
    ['two stages, one at a time', formatRate(oneAtATime.rate)],
    [
      'two stages at once',
      formatRate(atOnce.rate),
      `${times(oneAtATime)} one at a time, ${times(best)} the whole model`,
    ],
  ];
  const table = formatTable([{ title: '' }, { title: 'rows/s', right: true }, { title: '' }], rows);
  if (atOnce.rate >= best.rate) return table;
  const { device } = best.pipeline.plan.stages[0]!;
  return `${table}\nWhole on the ${device} is faster here: this small model fits on one device and need not be cut.`;
}

function wholeName({ pipeline }: Candidate): string {
  const { device, threads } = pipeline.plan.stages[0]!;
  return device === 'cpu' ? `whole model, cpu, ${threads} thread${threads === 1 ? '' : 's'}` : `whole model, ${device}`;
}

/** The device that ran each stage. */
export function formatStages({ pipeline, timeline }: Candidate): string {
  const uses = timeline.uses();
  const rows = pipeline.plan.stages.map(({ provider, threads, layers }, j) => {
    const { ranOn, deviceName } = pipeline.loaded[j]!;
    const range = `${layers.from}..${layers.to} of ${pipeline.graph.layers.length}`;
    return [
      String(j),
      ranOn,
      provider,
      range,
      String(threads),
      `${Math.round(uses[j]!.utilisation * 100)} %`,
      deviceName,
    ];
  });
  const titles = ['stage', 'ran on', 'provider', 'layers', 'threads', 'busy', 'device'];
  return formatTable(
    titles.map((title) => ({ title })),
    rows,
  );
}

/** Draws the ends of the latest rounds of both splits, on the same time scale. */
export function formatPictures({ oneAtATime, atOnce }: Comparison): string {
  const { plan, loaded } = atOnce.pipeline;
  const names = loaded.map(({ ranOn }, j) => `${j} ${ranOn}`);
  const shown = atOnce.timeline.spans.filter(({ stage }) => stage === plan.stages.length - 1).slice(-DRAWN);
  const length = endOf(atOnce) - Math.min(...shown.map(({ acceptedAt }) => acceptedAt));
  const draw = (candidate: Candidate) => {
    const to = endOf(candidate);
    return drawTimeline(candidate.timeline.spans, { names, width: PICTURE_WIDTH, from: to - length, to });
  };
  const heading = 'One at a time, the last micro-batches by their numbers:';
  return [heading, draw(oneAtATime), 'At once, in the same time:', draw(atOnce)].join('\n');
}

function endOf({ timeline }: Candidate): number {
  return Math.max(...timeline.spans.map(({ finishedAt }) => finishedAt));
}
