/** Paints lanes on a canvas: a box for each micro-batch, hatching while a worker waits, and areas if single spans are too fine or were not recorded. */
import type { Box, Lanes } from './lanes.js';
import { axisTime, ticks, type Window } from './scale.js';
import type { Colours } from './theme.js';

const AXIS_HEIGHT = 26;
const LANE_HEIGHT = 34;
const LANE_GAP = 10;
/** Boxes narrower than this, in pixels, are drawn as an area of their share of the time. */
const NARROWEST = 3;

export interface Painting {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly lanes: Lanes;
  readonly window: Window;
  readonly colours: Colours;
  /** The selected box. */
  readonly chosen: Box | null;
}

export function heightOf(lanes: number): number {
  return AXIS_HEIGHT + lanes * (LANE_HEIGHT + LANE_GAP);
}

export function topOf(lane: number): number {
  return AXIS_HEIGHT + lane * (LANE_HEIGHT + LANE_GAP) + LANE_GAP / 2;
}

/** The lane at a height, or null between lanes. */
export function laneAt(y: number, lanes: number): number | null {
  const lane = Math.floor((y - AXIS_HEIGHT) / (LANE_HEIGHT + LANE_GAP));
  return lane >= 0 && lane < lanes ? lane : null;
}

export function paintLanes(painting: Painting): void {
  const { context, width, lanes, colours } = painting;
  context.clearRect(0, 0, width, heightOf(lanes.boxes.length));
  paintAxis(painting);
  const hatch = hatching(context, colours);
  for (const lane of lanes.boxes.keys()) {
    context.fillStyle = colours.idle;
    context.fillRect(0, topOf(lane), width, LANE_HEIGHT);
    context.fillStyle = hatch;
    context.fillRect(0, topOf(lane), width, LANE_HEIGHT);
    paintLane(painting, lane);
  }
  if (painting.chosen) paintPath(painting, painting.chosen);
}

function xScale({ width, window }: Painting): (time: number) => number {
  const scale = width / (window.to - window.from);
  return (time) => (time - window.from) * scale;
}

function paintAxis(painting: Painting): void {
  const { context, width, window, colours, lanes } = painting;
  const x = xScale(painting);
  context.font = `11px ${colours.font}`;
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  for (const time of ticks(window.from, window.to, Math.max(2, width / 120))) {
    context.fillStyle = colours.hair;
    context.fillRect(Math.round(x(time)), 4, 1, heightOf(lanes.boxes.length));
    const label = axisTime(time, window);
    if (x(time) + context.measureText(label).width + 8 > width) continue;
    context.fillStyle = colours.quiet;
    context.fillText(label, Math.round(x(time)) + 5, 11);
  }
}

function hatching(context: CanvasRenderingContext2D, colours: Colours): CanvasPattern | string {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d')!;
  pen.strokeStyle = colours.hatch;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat') ?? colours.idle;
}

function paintLane(painting: Painting, lane: number): void {
  const { lanes, window, width } = painting;
  const shown = lanes.between(lane, window.from, window.to);
  const covered =
    shown.length > 0 &&
    lanes.known(Math.max(window.from, shown[0]!.acceptedAt), Math.min(window.to, shown.at(-1)!.finishedAt));
  const mean =
    shown.reduce((sum, { acceptedAt, finishedAt }) => sum + finishedAt - acceptedAt, 0) / Math.max(1, shown.length);
  if ((mean * width) / (window.to - window.from) < NARROWEST) {
    paintShares(painting, lane, window);
    return;
  }
  if (!covered) for (const part of unknownParts(lanes, window)) paintShares(painting, lane, part);
  for (const box of shown) paintBox(painting, box);
}

/** The parts of a window in which not every box was recorded. */
function unknownParts({ periods, end }: Lanes, { from, to }: Window): Window[] {
  const parts: Window[] = [];
  let at = from;
  for (const period of periods) {
    if (period.from > at && at < to) parts.push({ from: at, to: Math.min(to, period.from) });
    at = Math.max(at, period.to);
  }
  if (at < Math.min(to, end)) parts.push({ from: at, to: Math.min(to, end) });
  return parts;
}

/** Paints an area instead of boxes. Its height is the share of time in which the worker computed. */
function paintShares(painting: Painting, lane: number, { from, to }: Window): void {
  const { context, lanes, colours } = painting;
  const x = xScale(painting);
  const bottom = topOf(lane) + LANE_HEIGHT;
  const columns = Math.max(1, Math.round((x(to) - x(from)) / 2));
  const step = (to - from) / columns;
  context.fillStyle = colours.idle;
  context.fillRect(x(from), topOf(lane), x(to) - x(from), LANE_HEIGHT);
  context.fillStyle = colours.sum;
  for (let n = 0; n < columns; n++) {
    const height = LANE_HEIGHT * lanes.share(lane, from + n * step, from + (n + 1) * step);
    context.fillRect(x(from + n * step), bottom - height, x(from + step) - x(from) + 0.5, height);
  }
}

function paintBox(painting: Painting, box: Box): void {
  const { context, colours, chosen, lanes } = painting;
  const x = xScale(painting);
  const [left, right] = [x(box.acceptedAt), x(box.finishedAt)];
  const top = topOf(box.lane);
  const before = lanes.before(box);
  const waited = Math.max(box.readyAt, before?.finishedAt ?? box.readyAt);
  const begun = x(box.loadedFrom);
  if (left - begun >= 1) {
    context.fillStyle = colours.load;
    context.fillRect(begun, top + LANE_HEIGHT / 4, left - begun, LANE_HEIGHT / 2);
  }
  // The micro-batch was ready and the worker was free: this is the time of the handover.
  if (begun - x(waited) >= 1) {
    context.fillStyle = colours.hop;
    context.fillRect(x(waited), top + LANE_HEIGHT - 4, begun - x(waited), 4);
  }
  const width = Math.max(1, right - left - (right - left > 6 ? 1 : 0));
  context.beginPath();
  context.roundRect(left, top, width, LANE_HEIGHT, Math.min(4, width / 3));
  context.fillStyle = colours.paper;
  context.fill();
  const faded = chosen !== null && chosen.microBatch !== box.microBatch;
  context.globalAlpha = faded ? 0.35 : 1;
  context.fillStyle = colours.boxes[box.microBatch % colours.boxes.length]!;
  context.fill();
  context.globalAlpha = 1;
  const label = String(box.microBatch);
  const [seenLeft, seenRight] = [Math.max(0, left), Math.min(painting.width, right)];
  if (seenRight - seenLeft > 9 + label.length * 7) {
    context.font = `600 12px ${colours.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = faded ? colours.quiet : colours.onBox;
    context.fillText(label, (seenLeft + seenRight) / 2, top + LANE_HEIGHT / 2 + 0.5);
  }
}

/** Paints the selected micro-batch's path from stage to stage, and a frame around the selected box. */
function paintPath(painting: Painting, chosen: Box): void {
  const { context, colours, lanes } = painting;
  const x = xScale(painting);
  const path = lanes.byMicroBatch.get(chosen.microBatch)!;
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5;
  for (const [n, to] of path.slice(1).entries()) {
    const from = path[n]!;
    const [x0, y0] = [x(from.finishedAt), topOf(from.lane) + LANE_HEIGHT];
    const [x1, y1] = [x(to.acceptedAt), topOf(to.lane)];
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1, y1);
    context.stroke();
  }
  context.lineWidth = 2;
  const left = x(chosen.acceptedAt);
  context.beginPath();
  context.roundRect(left, topOf(chosen.lane), Math.max(2, x(chosen.finishedAt) - left), LANE_HEIGHT, 4);
  context.stroke();
}
