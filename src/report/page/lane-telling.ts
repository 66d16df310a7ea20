/** What is told in words of a box or of a wait: on the card beside the pointer, to a screen reader, and in the table. */
import { element, type TableColumn } from './element.js';
import { count, micros } from './figures.js';
import type { Box, Lanes } from './lanes.js';

export interface Told {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

export function tellBox(lanes: Lanes, box: Box, nameOf: (lane: number) => string): Told {
  const before = lanes.before(box);
  const freeAt = Math.max(before?.finishedAt ?? box.readyAt, 0);
  const handing = Math.max(0, box.acceptedAt - Math.max(box.readyAt, freeAt));
  const starved = before ? Math.max(0, box.readyAt - before.finishedAt) : 0;
  const queued = Math.max(0, Math.min(freeAt, box.acceptedAt) - box.readyAt);
  const facts: [string, string][] = [
    ['computed in', micros(box.finishedAt - box.acceptedAt)],
    ['rows', count(box.rows)],
    ['begun at', micros(box.acceptedAt)],
  ];
  if (starved > 0) facts.push(['worker waited for it', micros(starved)]);
  if (queued > 0) facts.push(['it waited for the worker', micros(queued)]);
  if (handing > 0) facts.push(['handed over in', micros(handing)]);
  return { title: `micro-batch ${count(box.microBatch)} in ${nameOf(box.lane)}`, facts };
}

/** What a lane does at a moment at which it computes nothing that is shown. */
export function tellGap(lanes: Lanes, lane: number, time: number, nameOf: (lane: number) => string): Told | null {
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
        ['single spans', 'not kept here'],
      ],
    };
  }
  const why =
    next === 0
      ? 'until the first micro-batch'
      : next === boxes.length
        ? 'no more to do'
        : `for micro-batch ${count(boxes[next]!.microBatch)}`;
  return {
    title: `${nameOf(lane)} waits`,
    facts: [
      ['for', micros(to - from)],
      ['', why],
    ],
  };
}

export function told({ title, facts }: Told): HTMLElement[] {
  return [
    element('strong', {}, title),
    element(
      'dl',
      {},
      ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    ),
  ];
}

export function sentence({ title, facts }: Told): string {
  return `${title}: ${facts.map(([name, value]) => (name ? `${name} ${value}` : value)).join(', ')}`;
}

export const BOX_COLUMNS: readonly TableColumn[] = [
  { title: 'micro-batch', right: true },
  { title: 'worker' },
  { title: 'rows', right: true },
  { title: 'ready', right: true },
  { title: 'begun', right: true },
  { title: 'done', right: true },
  { title: 'computed in', right: true },
];

export function boxRow(box: Box, nameOf: (lane: number) => string): string[] {
  const times = [box.readyAt, box.acceptedAt, box.finishedAt, box.finishedAt - box.acceptedAt].map(micros);
  return [count(box.microBatch), nameOf(box.lane), count(box.rows), ...times];
}
