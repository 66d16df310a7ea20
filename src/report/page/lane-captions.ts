/** The text about a box or a wait: for the card at the pointer, for a screen reader, and for the table. */
import { element, type TableColumn } from './element.js';
import { count, micros } from './figures.js';
import type { Box, Lanes } from './lanes.js';

export interface Caption {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

export function boxCaption(lanes: Lanes, box: Box, nameOf: (lane: number) => string): Caption {
  const before = lanes.before(box);
  const freeAt = Math.max(before?.finishedAt ?? box.readyAt, 0);
  const handover = Math.max(0, box.loadedFrom - Math.max(box.readyAt, freeAt));
  const starved = before ? Math.max(0, box.readyAt - before.finishedAt) : 0;
  const queued = Math.max(0, Math.min(freeAt, box.loadedFrom) - box.readyAt);
  const facts: [string, string][] = [
    ['computed in', micros(box.finishedAt - box.acceptedAt)],
    ['rows', count(box.rows)],
    ['started at', micros(box.acceptedAt)],
  ];
  if (box.loadedFrom < box.acceptedAt) facts.push(['loaded its pass in', micros(box.acceptedAt - box.loadedFrom)]);
  if (starved > 0) facts.push(['worker waited for it', micros(starved)]);
  if (queued > 0) facts.push(['it waited for the worker', micros(queued)]);
  if (handover > 0) facts.push(['handed over in', micros(handover)]);
  return { title: `micro-batch ${count(box.microBatch)} in ${nameOf(box.lane)}`, facts };
}

/** The state of a lane at a moment without a box. */
export function gapCaption(lanes: Lanes, lane: number, time: number, nameOf: (lane: number) => string): Caption | null {
  const boxes = lanes.boxes[lane]!;
  const next = lanes.indexAfter(lane, time);
  const [from, to] = [boxes[next - 1]?.finishedAt ?? 0, boxes[next]?.acceptedAt ?? lanes.end];
  if (time < 0 || time > lanes.end) return null;
  if (!lanes.known(time, time)) {
    const share = lanes.share(lane, Math.max(0, time - 1), time + 1);
    return {
      title: nameOf(lane),
      facts: [
        ['computes', `${Math.round(share * 100)} % of this time`],
        ['single spans', 'not recorded here'],
      ],
    };
  }
  const why =
    next === 0
      ? 'until the first micro-batch'
      : next === boxes.length
        ? 'no more work'
        : `for micro-batch ${count(boxes[next]!.microBatch)}`;
  return {
    title: `${nameOf(lane)} waits`,
    facts: [
      ['for', micros(to - from)],
      ['', why],
    ],
  };
}

export function captionElements({ title, facts }: Caption): HTMLElement[] {
  return [
    element('strong', {}, title),
    element(
      'dl',
      {},
      ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    ),
  ];
}

export function sentence({ title, facts }: Caption): string {
  return `${title}: ${facts.map(([name, value]) => (name ? `${name} ${value}` : value)).join(', ')}`;
}

export const BOX_COLUMNS: readonly TableColumn[] = [
  { title: 'micro-batch', right: true },
  { title: 'worker' },
  { title: 'rows', right: true },
  { title: 'ready', right: true },
  { title: 'started', right: true },
  { title: 'done', right: true },
  { title: 'computed in', right: true },
];

export function boxRow(box: Box, nameOf: (lane: number) => string): string[] {
  const times = [box.readyAt, box.acceptedAt, box.finishedAt, box.finishedAt - box.acceptedAt].map(micros);
  return [count(box.microBatch), nameOf(box.lane), count(box.rows), ...times];
}
