/** The lanes of the threads that prepared rows ahead of the stages: their busy share over time. */
import type { RunPart } from '../record.js';
import { drawing, element } from './element.js';
import { count, duration, percent, several } from './figures.js';

/** Intervals of a lane. */
const PREPARED_COLUMNS = 240;
const PREPARED_HEIGHT = 22;

/** `null` where nothing prepared rows. */
export function preparing({ summary, preparing: part }: RunPart): HTMLElement | null {
  if (!part) return null;
  const { what, threads, rows, rowsBefore, busySeconds, spans } = part;
  const end = Math.max(1, summary.seconds * 1e6, ...spans.finishedAt);
  const lanes = Math.max(0, ...spans.lane.map((lane) => lane + 1));
  const share = percent(summary.seconds > 0 ? Math.min(1, busySeconds / summary.seconds / Math.max(1, threads)) : 0);
  const before = rowsBefore > 0 ? `, after ${several(rowsBefore, 'row')} for the plan` : '';
  const figure = Array.from({ length: lanes }, (_, lane) => preparedLane(spans, lane, end));
  return element(
    'div',
    { class: 'preparing' },
    element(
      'p',
      { class: 'quiet' },
      `To ${what} ahead of the stages, ${several(threads, 'thread')} took ${duration(busySeconds)} for ${count(rows)} rows${before}: busy ${share} of the time.`,
    ),
    ...figure,
  );
}

function preparedLane(
  { lane: lanes, startedAt, finishedAt }: NonNullable<RunPart['preparing']>['spans'],
  lane: number,
  end: number,
) {
  const busy = new Array<number>(PREPARED_COLUMNS).fill(0);
  const step = end / PREPARED_COLUMNS;
  for (const [n, own] of lanes.entries()) {
    if (own !== lane) continue;
    const last = Math.min(PREPARED_COLUMNS - 1, Math.floor(finishedAt[n]! / step));
    for (let at = Math.floor(startedAt[n]! / step); at <= last; at++) {
      busy[at]! += Math.min(finishedAt[n]!, (at + 1) * step) - Math.max(startedAt[n]!, at * step);
    }
  }
  const bars = busy.flatMap((time, x) => {
    const height = PREPARED_HEIGHT * Math.min(1, time / step);
    return height > 0 ? [drawing('rect', { x, y: PREPARED_HEIGHT - height, width: 1, height })] : [];
  });
  const label = `Thread ${lane + 1} that prepares rows`;
  const shape = {
    viewBox: `0 0 ${PREPARED_COLUMNS} ${PREPARED_HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': label,
  };
  return drawing('svg', { class: 'prepared', ...shape }, ...bars);
}
