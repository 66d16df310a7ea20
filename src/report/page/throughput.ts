/** Throughput over time, and below it the busy share of each stage; one vertical line selects the values of all. */
import type { RunPart } from '../record.js';
import { drawing, element, folded, section, table } from './element.js';
import { count, duration, percent, rate } from './figures.js';
import { axisTime, ticks } from './scale.js';
import type { Drawn } from './timeline.js';

const HEIGHT = 200;
const STAGE_HEIGHT = 40;
const LEFT = 56;
const TOP = 14;
const GAP = 12;
/** Width of one point in pixels. */
const POINT = 9;

/** The figures of one interval. */
interface Point {
  readonly from: number;
  readonly to: number;
  readonly rowsPerSecond: number;
  /** By stage. */
  readonly busy: readonly number[];
}

export function throughput(run: RunPart): Drawn {
  const { summary } = run;
  const chart = element('div', {
    class: 'chart',
    tabindex: '0',
    role: 'application',
    'aria-label': 'Throughput over time; arrow keys select a point',
  });
  const spoken = element('p', { class: 'unseen', role: 'status' });
  const reading = element('p', { class: 'reading quiet' });
  let points: Point[] = [];
  let at: number | null = null;
  const read = (n: number | null) => {
    at = n === null ? null : Math.max(0, Math.min(points.length - 1, n));
    paint();
    const text = at === null ? restText(run) : pointText(points[at]!, run);
    reading.textContent = text;
    if (document.activeElement === chart) spoken.textContent = text;
  };
  const paint = () => {
    const width = Math.max(200, chart.clientWidth);
    points = pointsOf(run, Math.floor((width - LEFT) / POINT));
    chart.replaceChildren(draw(run, points, width, at));
  };
  chart.addEventListener('pointermove', (event) => {
    const { left, width } = chart.getBoundingClientRect();
    const share = (event.clientX - left - LEFT) / (width - LEFT);
    read(Math.floor(share * points.length));
  });
  chart.addEventListener('pointerleave', () => read(null));
  chart.addEventListener('keydown', (event) => {
    const steps: Record<string, number> = {
      ArrowRight: (at ?? -1) + 1,
      ArrowLeft: (at ?? points.length) - 1,
      Home: 0,
      End: points.length - 1,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    read(step);
  });
  reading.textContent = restText(run);
  const list = folded('As a table', () =>
    table(
      'Throughput over time',
      [
        { title: 'from', right: true },
        { title: 'rows/s', right: true },
        ...summary.stages.map(({ stage, device }) => ({ title: `stage ${stage} ${device}`, right: true })),
      ],
      points.map(({ from, rowsPerSecond, busy }) => [duration(from), rate(rowsPerSecond), ...busy.map(percent)]),
    ),
  );
  return { place: section('throughput', 'Throughput', reading, chart, spoken, list), paint };
}

function restText({ summary }: RunPart): string {
  return `${rate(summary.rowsPerSecond)} rows/s over the run; the dashed line is the best that these stages can reach, ${rate(summary.predicted.rowsPerSecond)} rows/s. Below it is the share of time in which each stage computes.`;
}

function pointText({ from, to, rowsPerSecond, busy }: Point, { summary }: RunPart): string {
  const stages = busy
    .map((share, stage) => `stage ${stage} ${summary.stages[stage]!.device} ${percent(share)}`)
    .join(', ');
  return `${duration(from)} to ${duration(to)}: ${rate(rowsPerSecond)} rows/s; ${stages}.`;
}

/**
 * At most `most` points. Each interval contains several micro-batches: a shorter one would only show that rows arrive in
 * micro-batches.
 */
function pointsOf({ pace, summary, timeline: { lanes } }: RunPart, most: number): Point[] {
  const { intervalSeconds, rows } = pace;
  const length = Math.max(1, rows.length * intervalSeconds);
  const smooth = Math.ceil(Math.min(rows.length / 8, (6 * rows.length) / Math.max(1, summary.microBatches)));
  const per = Math.max(1, smooth, Math.ceil(rows.length / Math.max(1, most)));
  const found: Point[] = [];
  for (let n = 0; n < rows.length; n += per) {
    const end = Math.min(rows.length, n + per);
    const [from, to] = [n * intervalSeconds, Math.min(length, end * intervalSeconds)];
    const sum = (values: readonly number[]) => values.slice(n, end).reduce((a, b) => a + b, 0);
    // The last interval is cut off at the end of the run.
    const seconds = Math.max(1e-9, Math.min(to, Math.max(summary.seconds, from + intervalSeconds / 2)) - from);
    const busy = summary.stages.map(({ stage, workers }) => {
      const own = lanes.flatMap((lane, k) => (lane.stage === stage ? [sum(pace.busySeconds[k]!)] : []));
      return Math.min(1, own.reduce((a, b) => a + b, 0) / (seconds * workers));
    });
    found.push({ from, to: from + seconds, rowsPerSecond: sum(rows) / seconds, busy });
  }
  return found;
}

function draw({ summary }: RunPart, points: readonly Point[], width: number, at: number | null): SVGSVGElement {
  const stages = summary.stages.length;
  const height = TOP + HEIGHT + stages * (STAGE_HEIGHT + GAP) + 26;
  const end = points.at(-1)?.to ?? 1;
  const top =
    1.08 * Math.max(summary.predicted.rowsPerSecond, ...points.map(({ rowsPerSecond }) => rowsPerSecond), 1e-9);
  const x = (seconds: number) => LEFT + (seconds / end) * (width - LEFT - 1);
  const y = (value: number) => TOP + HEIGHT - (value / top) * HEIGHT;
  const svg = drawing('svg', { width, height, 'aria-hidden': 'true' });
  const line = (x1: number, y1: number, x2: number, y2: number, kind: string) =>
    drawing('line', { x1, y1, x2, y2, class: kind });
  const text = (left: number, baseline: number, kind: string, label: string) =>
    drawing('text', { x: left, y: baseline, class: kind }, label);
  for (const value of ticks(0, top, 4)) {
    svg.append(
      line(LEFT, y(value), width, y(value), 'hair'),
      text(LEFT - 8, y(value) + 4, 'left', value === 0 || top > 4 ? count(value) : rate(value)),
    );
  }
  svg.append(drawing('path', { d: area(points, x, (point) => y(point.rowsPerSecond), y(0)), class: 'rows-area' }));
  svg.append(drawing('path', { d: steps(points, x, (point) => y(point.rowsPerSecond)), class: 'rows-line' }));
  const best = y(summary.predicted.rowsPerSecond);
  svg.append(line(LEFT, best, width, best, 'best'));
  for (const { stage, device } of summary.stages) {
    const base = TOP + HEIGHT + (stage + 1) * (STAGE_HEIGHT + GAP);
    const level = (point: Point) => base - point.busy[stage]! * STAGE_HEIGHT;
    svg.append(
      line(LEFT, base, width, base, 'hair'),
      drawing('path', { d: area(points, x, level, base), class: `stage-area tone-${stage % 6}` }),
      text(LEFT - 8, base - 14, 'left', `${stage} ${device}`),
    );
  }
  for (const seconds of ticks(0, end, Math.max(2, width / 130))) {
    const label = axisTime(seconds * 1e6, { from: 0, to: end * 1e6 });
    svg.append(text(x(seconds), height - 6, seconds === 0 ? '' : x(seconds) > width - 40 ? 'left' : 'middle', label));
  }
  const point = at === null ? undefined : points[at];
  if (point) {
    const middle = x((point.from + point.to) / 2);
    svg.append(
      line(middle, TOP, middle, height - 22, 'cursor'),
      drawing('circle', { cx: middle, cy: y(point.rowsPerSecond), r: 4, class: 'cursor' }),
    );
  }
  return svg;
}

function steps(points: readonly Point[], x: (seconds: number) => number, y: (point: Point) => number): string {
  return points.map((point, n) => `${n === 0 ? 'M' : 'L'}${x(point.from)} ${y(point)}H${x(point.to)}`).join('');
}

function area(
  points: readonly Point[],
  x: (seconds: number) => number,
  y: (point: Point) => number,
  base: number,
): string {
  if (points.length === 0) return '';
  return `${steps(points, x, y)}V${base}H${x(points[0]!.from)}Z`;
}
