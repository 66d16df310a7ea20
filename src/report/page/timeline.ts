/** The timeline: a lane for each worker, which can be zoomed and moved, with a description of the selected micro-batch. */
import type { RunPart } from '../record.js';
import { element, folded, section, table } from './element.js';
import { count, several } from './figures.js';
import {
  BOX_COLUMNS,
  boxCaption,
  boxRow,
  type Caption,
  captionElements,
  gapCaption,
  sentence,
} from './lane-captions.js';
import { heightOf, laneAt, paintLanes, topOf } from './lane-painting.js';
import { type Box, Lanes } from './lanes.js';
import { overview, sized } from './overview.js';
import type { Window } from './scale.js';
import { colours } from './theme.js';
import { controlByPointer, TimelineView } from './timeline-view.js';

/** Micro-batches shown at first, at most, and their smallest width in pixels. */
const SHOWN_AT_FIRST = 24;
const WIDTH_AT_FIRST = 45;
const TABLE_ROWS = 500;
const KEYS =
  'Arrow keys move from micro-batch to micro-batch, plus and minus zoom, 0 shows all, Home and End go to the ends, Escape clears the selection.';

/** A section and the function that repaints it. */
export interface Drawn {
  readonly place: HTMLElement;
  paint(): void;
}

export function timeline(run: RunPart): Drawn {
  const lanes = new Lanes(run);
  const nameOf = (lane: number) => laneName(run, lane);
  const canvas = element('canvas');
  const card = element('div', { class: 'card', hidden: '' });
  const spoken = element('p', { class: 'unseen', role: 'status' });
  const board = element(
    'div',
    {
      class: 'board',
      tabindex: '0',
      role: 'application',
      'aria-label': 'Timeline',
      'aria-describedby': 'timeline-keys',
    },
    canvas,
    card,
  );
  let chosen: Box | null = null;
  const paint = () => {
    const context = sized(canvas, heightOf(lanes.boxes.length));
    paintLanes({ context, width: canvas.clientWidth, lanes, window: view.window, colours: colours(), chosen });
    strip.paint();
  };
  const view = new TimelineView(lanes.end, firstWindow(lanes), () => paint());
  const strip = overview(lanes, view);

  /** The card is placed below the lanes, or two lanes below the selected one, so that the path of the micro-batch stays visible. */
  const place = (what: Caption | null, x: number, lane: number) => {
    card.hidden = what === null;
    if (!what) return;
    card.replaceChildren(...captionElements(what));
    const room = board.clientWidth - card.offsetWidth;
    card.style.left = `${Math.max(0, Math.min(room, x + 14))}px`;
    card.style.top = `${Math.min(heightOf(lanes.boxes.length), topOf(lane + 3)) + 2}px`;
  };
  const highlight = (box: Box | null) => {
    chosen = box;
    paint();
  };
  const hover = (x: number, y: number) => {
    const lane = laneAt(y, lanes.boxes.length);
    const { from, to } = view.window;
    const time = from + (x / canvas.clientWidth) * (to - from);
    const box = lane === null ? null : boxAt(lanes, lane, time);
    if (box !== chosen) highlight(box);
    const what = box ? boxCaption(lanes, box, nameOf) : lane === null ? null : gapCaption(lanes, lane, time, nameOf);
    place(what, x, lane ?? 0);
  };
  controlByPointer(board, view, hover);
  board.addEventListener('pointerleave', () => {
    place(null, 0, 0);
    highlight(null);
  });

  const select = (box: Box | null) => {
    chosen = box;
    if (!box) {
      place(null, 0, 0);
      return paint();
    }
    view.reveal(box.acceptedAt, box.finishedAt);
    paint();
    const { from, to } = view.window;
    const what = boxCaption(lanes, box, nameOf);
    place(what, ((box.acceptedAt - from) / (to - from)) * canvas.clientWidth, box.lane);
    spoken.textContent = sentence(what);
  };
  board.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (controlByKey(event, view) || selectByKey(event.key, lanes, view.window, chosen, select)) event.preventDefault();
  });

  return { place: assemble({ run, lanes, view, board, strip: strip.canvas, spoken, nameOf }), paint };
}

function laneName({ summary, timeline: { lanes } }: RunPart, lane: number): string {
  const { stage, worker } = lanes[lane]!;
  const { device, workers } = summary.stages[stage]!;
  return `stage ${stage} ${device}${workers > 1 ? `, worker ${worker}` : ''}`;
}

function firstWindow(lanes: Lanes): Window {
  const shown = Math.min(SHOWN_AT_FIRST, Math.round(innerWidth / WIDTH_AT_FIRST));
  const few = lanes.byMicroBatch.get(shown)?.at(-1)?.finishedAt ?? lanes.end;
  return { from: 0, to: Math.min(lanes.end, few) };
}

function boxAt(lanes: Lanes, lane: number, time: number): Box | null {
  const box = lanes.boxes[lane]![lanes.indexAfter(lane, time)];
  return box && box.acceptedAt <= time ? box : null;
}

function controlByKey({ key, shiftKey }: KeyboardEvent, view: TimelineView): boolean {
  if (key === '+' || key === '=') view.zoom(0.6);
  else if (key === '-' || key === '_') view.zoom(1 / 0.6);
  else if (key === '0') view.fit();
  else if (shiftKey && key === 'ArrowLeft') view.move(-0.25);
  else if (shiftKey && key === 'ArrowRight') view.move(0.25);
  else return false;
  return true;
}

/** Returns whether the key moved the selection. */
function selectByKey(
  key: string,
  lanes: Lanes,
  { from, to }: Window,
  at: Box | null,
  select: (box: Box | null) => void,
): boolean {
  const lane = at?.lane ?? 0;
  const boxes = lanes.boxes[lane]!;
  const here = at ? boxes.indexOf(at) : lanes.indexAfter(lane, from) - 1;
  const other = (next: number) => {
    const nextBoxes = lanes.boxes[next];
    if (!nextBoxes || !at) return at ?? boxes[here + 1] ?? null;
    const same = nextBoxes.find(({ microBatch }) => microBatch === at.microBatch);
    return same ?? nextBoxes[Math.min(nextBoxes.length - 1, lanes.indexAfter(next, at.acceptedAt))] ?? at;
  };
  if (key === 'ArrowRight') select(boxes[Math.min(boxes.length - 1, here + 1)] ?? null);
  else if (key === 'ArrowLeft') select(boxes[Math.max(0, here - 1)] ?? null);
  else if (key === 'ArrowDown') select(other(lane + 1));
  else if (key === 'ArrowUp') select(other(lane - 1));
  else if (key === 'Home') select(boxes[0] ?? null);
  else if (key === 'End') select(boxes.at(-1) ?? null);
  else if (key === 'Escape' && at && to > from) select(null);
  else return false;
  return true;
}

interface Assembly {
  readonly run: RunPart;
  readonly lanes: Lanes;
  readonly view: TimelineView;
  readonly board: HTMLElement;
  readonly strip: HTMLElement;
  readonly spoken: HTMLElement;
  readonly nameOf: (lane: number) => string;
}

function assemble({ run, lanes, view, board, strip, spoken, nameOf }: Assembly): HTMLElement {
  const button = (label: string, text: string, press: () => void) => {
    const made = element('button', { type: 'button', 'aria-label': label, title: label }, text);
    made.addEventListener('click', press);
    return made;
  };
  const tools = element(
    'div',
    { class: 'tools' },
    button('zoom in', '+', () => view.zoom(0.5)),
    button('zoom out', '−', () => view.zoom(2)),
    button('show all', 'all', () => view.fit()),
    button('show the beginning', 'start', () => {
      const { from, to } = firstWindow(lanes);
      view.show(from, to);
    }),
    button('show the end', 'end', () => view.show(view.end - (view.window.to - view.window.from), view.end)),
  );
  const labels = lanes.names.map(({ stage, worker }) => {
    const { device, workers, utilisation, layers, beside } = run.summary.stages[stage]!;
    const place = beside ? `replica of ${stage - 1}` : `layers ${layers.from}–${layers.to}`;
    const more = workers > 1 ? `worker ${worker}` : place;
    const tone = `tone-${stage % 6}`;
    const name = element('span', { class: 'lane-name' }, element('i', { class: `dot ${tone}` }), `${stage} ${device}`);
    return element(
      'li',
      {},
      name,
      element('span', { class: 'quiet' }, `${more} · ${Math.round(utilisation * 100)}\u2009%`),
    );
  });
  const list = folded('The micro-batches in view as a table', () => {
    const { from, to } = view.window;
    const seen = lanes.boxes.flatMap((_, lane) => lanes.between(lane, from, to));
    const rows = seen.sort((a, b) => a.acceptedAt - b.acceptedAt).slice(0, TABLE_ROWS);
    return table(
      'Micro-batches in view',
      BOX_COLUMNS,
      rows.map((box) => boxRow(box, nameOf)),
    );
  });
  return section(
    'timeline',
    'Timeline',
    element(
      'div',
      { class: 'bar' },
      legend(lanes.boxes.some((lane) => lane.some((box) => box.loadedFrom < box.acceptedAt))),
      tools,
    ),
    element('div', { class: 'lanes' }, element('ul', { class: 'labels' }, ...labels), board),
    element('div', { class: 'lanes' }, element('span', { class: 'labels quiet' }, 'whole run'), strip),
    spoken,
    element(
      'p',
      { class: 'quiet', id: 'timeline-keys' },
      `${keptText(run, lanes)} Drag to move, Ctrl and wheel or two fingers to zoom. ${KEYS}`,
    ),
    list,
  );
}

function legend(loads: boolean): HTMLElement {
  const item = (kind: string, text: string) => element('li', {}, element('i', { class: `swatch ${kind}` }), text);
  return element(
    'ul',
    { class: 'legend' },
    item('boxes', 'a micro-batch, by its number'),
    item('waits', 'the worker waits'),
    item('hops', 'ready, in handover'),
    item('sums', 'share of the time'),
    ...(loads ? [item('loads', 'loading a pass')] : []),
  );
}

/** The sentence about the recorded spans. */
function keptText({ timeline: { recorded, spans } }: RunPart, { periods }: Lanes): string {
  const kept = spans.lane.length;
  if (kept >= recorded) return `All ${several(recorded, 'span')} were recorded.`;
  return `Of ${several(recorded, 'span')} ${count(kept)} were recorded one by one, in ${several(periods.length, 'period')} marked under the whole run; between them is each worker's share of the time.`;
}
