/** The overview: the whole run in a narrow strip under the timeline, with a frame around the visible window. */
import { element } from './element.js';
import type { Lanes } from './lanes.js';
import { colours } from './theme.js';
import type { TimelineView } from './timeline-view.js';

const ROW = 7;

export interface Overview {
  readonly canvas: HTMLCanvasElement;
  paint(): void;
}

/** Paints the busy share of each lane, and a line below where single spans were recorded. Press to jump, drag to move. */
export function overview(lanes: Lanes, view: TimelineView): Overview {
  const height = lanes.boxes.length * ROW + 5;
  const canvas = element('canvas', { class: 'overview', 'aria-hidden': 'true' });
  const jump = (event: PointerEvent) => {
    if ((event.buttons & 1) === 0) return;
    const { left, width } = canvas.getBoundingClientRect();
    const { from, to } = view.window;
    const time = ((event.clientX - left) / width) * view.end;
    view.show(time - (to - from) / 2, time + (to - from) / 2);
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    jump(event);
  });
  canvas.addEventListener('pointermove', jump);
  const paint = () => {
    const context = sized(canvas, height);
    const { sum, hair, accent, idle } = colours();
    const width = canvas.clientWidth;
    const columns = Math.max(1, Math.floor(width / 2));
    const step = lanes.end / columns;
    for (const lane of lanes.boxes.keys()) {
      context.fillStyle = idle;
      context.fillRect(0, lane * ROW, width, ROW - 1);
      context.fillStyle = sum;
      for (let n = 0; n < columns; n++) {
        context.globalAlpha = lanes.share(lane, n * step, (n + 1) * step);
        context.fillRect((n * width) / columns, lane * ROW, width / columns + 0.5, ROW - 1);
      }
      context.globalAlpha = 1;
    }
    context.fillStyle = hair;
    context.fillRect(0, height - 3, width, 3);
    context.fillStyle = accent;
    for (const { from, to } of lanes.periods) {
      context.fillRect((from / lanes.end) * width, height - 3, Math.max(1, ((to - from) / lanes.end) * width), 3);
    }
    const { from, to } = view.window;
    context.strokeStyle = accent;
    context.lineWidth = 2;
    const left = Math.min(width - 4, (from / lanes.end) * width + 1);
    context.strokeRect(left, 1, Math.max(2, ((to - from) / lanes.end) * width - 2), height - 2);
  };
  return { canvas, paint };
}

/** Sizes the canvas to its layout size in device pixels. */
export function sized(canvas: HTMLCanvasElement, height: number): CanvasRenderingContext2D {
  const ratio = devicePixelRatio;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
