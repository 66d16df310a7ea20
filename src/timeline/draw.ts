/** Draws a timeline as text: one lane for each worker, one box for each micro-batch that it computed. */
import type { Span } from './spans.js';

export interface Drawing {
  /** Names of the stages, by their number. */
  readonly names: readonly string[];
  /** Columns of the whole picture. */
  readonly width: number;
  /** The time window that is shown, in the spans' microseconds; default all. */
  readonly from?: number;
  readonly to?: number;
}

/** The boxes of a lane alternate between these. */
const SHADES = ['▒', '█'] as const;
const IDLE = ' ';

/**
 * A box shows the number of its micro-batch if there is room for it. Blanks are the bubble.
 *
 *   gpu │██7██▒▒8▒▒██9██     │
 *   cpu │     ██7██▒▒8▒▒██9██│
 *       └────────────── 41 ms┘
 */
export function drawTimeline(spans: readonly Span[], { names, width, ...window }: Drawing): string {
  const from = window.from ?? Math.min(...spans.map(({ acceptedAt }) => acceptedAt));
  const to = window.to ?? Math.max(...spans.map(({ finishedAt }) => finishedAt));
  const isShown = ({ acceptedAt, finishedAt }: Span) => finishedAt > from && acceptedAt < to;
  if (!spans.some(isShown)) return '';
  // A worker that does nothing in this window has its lane all the same.
  const lanes = lanesOf(spans);

  const labels = lanes.map(([{ stage }]) => names[stage] ?? `stage ${stage}`);
  const margin = Math.max(...labels.map((label) => label.length));
  const columns = Math.max(1, width - margin - 3);
  const scale = columns / Math.max(1, to - from);
  const column = (time: number) => Math.round((Math.min(Math.max(time, from), to) - from) * scale);
  const rows = lanes.map(
    (lane, n) => `${labels[n]!.padEnd(margin)} │${drawLane(lane.filter(isShown), columns, column)}│`,
  );
  const duration = ` ${((to - from) / 1e3).toFixed(0)} ms`;
  return [...rows, `${' '.repeat(margin)} └${duration.padStart(columns, '─')}┘`].join('\n');
}

/** The spans of each worker by time; workers by stage. */
function lanesOf(spans: readonly Span[]): (readonly [Span, ...Span[]])[] {
  const lanes = new Map<string, [Span, ...Span[]]>();
  const ordered = spans.toSorted((a, b) => a.stage - b.stage || a.worker - b.worker || a.acceptedAt - b.acceptedAt);
  for (const span of ordered) {
    const key = `${span.stage}/${span.worker}`;
    const lane = lanes.get(key);
    if (lane) lane.push(span);
    else lanes.set(key, [span]);
  }
  return [...lanes.values()];
}

function drawLane(lane: readonly Span[], columns: number, column: (time: number) => number): string {
  const cells = new Array<string>(columns).fill(IDLE);
  const first = lane[0]?.microBatch ?? 0;
  for (const [n, { microBatch, acceptedAt, finishedAt }] of lane.entries()) {
    const start = Math.min(column(acceptedAt), columns - 1);
    // At least one column, so that no span is invisible.
    const length = Math.max(1, column(finishedAt) - start);
    const box = drawBox(String(microBatch), length, SHADES[(first + n) % 2]!);
    cells.splice(start, length, ...box);
  }
  return cells.join('');
}

/** The number in the middle of `length` columns, with at least one column of the box on each side of it. */
function drawBox(number: string, length: number, shade: string): string[] {
  const box = new Array<string>(length).fill(shade);
  if (number.length + 2 <= length) box.splice(Math.floor((length - number.length) / 2), number.length, ...number);
  return box;
}
