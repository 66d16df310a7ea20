/** What the demo tells of its contenders, as text. */
import { formatRate } from '../../src/cli/progress.js';
import { formatTable } from '../../src/cli/table.js';
import { drawTimeline } from '../../src/pipeline/draw-timeline.js';
import type { Contender } from './contender.js';

/** Micro-batches that go through the last stage in the time that is drawn. */
const DRAWN = 12;
const PICTURE_WIDTH = 80;

export interface Contest {
  /** Unsplit, on one device each. */
  readonly wholes: readonly Contender[];
  /** Split, one micro-batch in flight. */
  readonly oneAtATime: Contender;
  /** Split, all stages busy. */
  readonly atOnce: Contender;
}

/** Rates, each split beside what it is to be compared with. */
export function formatRates({ wholes, oneAtATime, atOnce }: Contest): string {
  const best = wholes.toSorted((a, b) => b.rate - a.rate)[0]!;
  const times = (than: Contender) => `${(atOnce.rate / than.rate).toFixed(2)} x`;
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
  return `${table}\nWhole on the ${device} is faster here: so small a model fits, and need not be cut.`;
}

function wholeName({ pipeline }: Contender): string {
  const { device, threads } = pipeline.plan.stages[0]!;
  return device === 'cpu' ? `whole model, cpu, ${threads} thread${threads === 1 ? '' : 's'}` : `whole model, ${device}`;
}

/** Where each stage really ran. */
export function formatStages({ pipeline, timeline }: Contender): string {
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

/** The ends of both splits' latest rounds, on one scale of time. */
export function formatPictures({ oneAtATime, atOnce }: Contest): string {
  const { plan, loaded } = atOnce.pipeline;
  const names = loaded.map(({ ranOn }, j) => `${j} ${ranOn}`);
  const shown = atOnce.timeline.spans.filter(({ stage }) => stage === plan.stages.length - 1).slice(-DRAWN);
  const length = endOf(atOnce) - Math.min(...shown.map(({ acceptedAt }) => acceptedAt));
  const draw = (contender: Contender) => {
    const to = endOf(contender);
    return drawTimeline(contender.timeline.spans, { names, width: PICTURE_WIDTH, from: to - length, to });
  };
  const heading = 'One at a time, the last micro-batches by their numbers:';
  return [heading, draw(oneAtATime), 'At once, in the same time:', draw(atOnce)].join('\n');
}

function endOf({ timeline }: Contender): number {
  return Math.max(...timeline.spans.map(({ finishedAt }) => finishedAt));
}
