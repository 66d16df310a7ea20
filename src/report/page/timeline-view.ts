/** The visible time window of the timeline: zooming and moving by wheel, finger, pointer, button or key. */
import type { Window } from './scale.js';

/** The shortest window, in microseconds. */
const SHORTEST = 50;

export class TimelineView {
  readonly end: number;
  #window: Window;
  readonly #changed: () => void;

  constructor(end: number, window: Window, changed: () => void) {
    this.end = end;
    this.#window = window;
    this.#changed = changed;
  }

  get window(): Window {
    return this.#window;
  }

  /** Shows [from, to], moved inside the run. */
  show(from: number, to: number): void {
    const length = Math.min(this.end, Math.max(SHORTEST, to - from));
    const start = Math.min(Math.max(0, from), this.end - length);
    this.#window = { from: start, to: start + length };
    this.#changed();
  }

  /** A `factor` above 1 shows more; the time at `share` of the width keeps its position. */
  zoom(factor: number, share = 0.5): void {
    const { from, to } = this.#window;
    const length = Math.min(this.end, Math.max(SHORTEST, (to - from) * factor));
    const fixed = from + (to - from) * share;
    this.show(fixed - length * share, fixed + length * (1 - share));
  }

  /** Moves by a fraction of the window's length. */
  move(share: number): void {
    const { from, to } = this.#window;
    this.show(from + (to - from) * share, to + (to - from) * share);
  }

  fit(): void {
    this.show(0, this.end);
  }

  /** Moves the least distance that shows a time span, and zooms out if it is longer than the window. */
  reveal(from: number, to: number): void {
    const window = this.#window;
    const length = Math.max(window.to - window.from, (to - from) * 1.1);
    if (from < window.from) this.show(from - length * 0.1, from + length * 0.9);
    else if (to > window.to) this.show(to - length * 0.9, to + length * 0.1);
  }
}

/**
 * Drag to move, two fingers or Ctrl and wheel to zoom, double click to zoom in. A plain wheel scrolls the page.
 * `scale` returns the microseconds per pixel.
 */
export function controlByPointer(place: HTMLElement, view: TimelineView, hover: (x: number, y: number) => void): void {
  const pointers = new Map<number, number>();
  const shareOf = (clientX: number) => {
    const { left, width } = place.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width));
  };
  place.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    place.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.clientX);
  });
  place.addEventListener('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    const { left, top, width } = place.getBoundingClientRect();
    if (before !== undefined) {
      const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
      pointers.set(event.pointerId, event.clientX);
      if (others.length === 0) view.move((before - event.clientX) / width);
      else {
        const apart = (x: number) => Math.max(20, Math.abs(x - others[0]!));
        view.zoom(apart(before) / apart(event.clientX), shareOf((event.clientX + others[0]!) / 2));
      }
    }
    hover(event.clientX - left, event.clientY - top);
  });
  const release = (event: PointerEvent) => pointers.delete(event.pointerId);
  place.addEventListener('pointerup', release);
  place.addEventListener('pointercancel', release);
  place.addEventListener('dblclick', (event) => view.zoom(0.4, shareOf(event.clientX)));
  place.addEventListener(
    'wheel',
    (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
      if (!(event.ctrlKey || event.metaKey || sideways)) return;
      event.preventDefault();
      if (sideways) view.move((event.deltaX || event.deltaY) / place.clientWidth);
      else view.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 120), shareOf(event.clientX));
    },
    { passive: false },
  );
}
