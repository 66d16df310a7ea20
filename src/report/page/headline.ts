/** The head of the page: what ran, the verdict in a few sentences, and the figures that matter. */
import type { RunPart, RunRecord } from '../record.js';
import { drawing, element } from './element.js';
import { bytes, count, duration, percent, rate, several } from './figures.js';
import { companyOf } from './stage-groups.js';

export function masthead(theme: HTMLElement): HTMLElement {
  return element('header', { class: 'masthead' }, element('p', { class: 'brand' }, bicycle(), 'tandem'), theme);
}

/** Two wheels, one frame, two riders. */
function bicycle(): SVGSVGElement {
  const wheel = (cx: number, tone: string) => drawing('circle', { cx, cy: 15, r: 6, class: tone });
  return drawing(
    'svg',
    { viewBox: '0 0 44 24', width: 44, height: 24, class: 'logo', 'aria-hidden': 'true' },
    drawing('path', { d: 'M8 15 L16 5 H30 L36 15 M16 5 L22 15 H8 M30 5 L22 15 M14 2 h5 M28 2 h5' }),
    wheel(8, 'wheel-0'),
    wheel(36, 'wheel-1'),
  );
}

export function headline(record: RunRecord): HTMLElement {
  const { title, createdAt, version, machine, run } = record;
  const verdict = record.verdict ?? (run ? verdictOf(run) : []);
  const when = new Date(createdAt);
  const date = Number.isNaN(when.getTime())
    ? createdAt
    : when.toLocaleString('en', { dateStyle: 'long', timeStyle: 'short' });
  return element(
    'div',
    { class: 'headline' },
    element('h1', {}, element('bdi', {}, title)),
    element('p', { class: 'quiet' }, `${date} · tandem ${version} · ${machine.cpu}, ${several(machine.cores, 'core')}`),
    element('p', { class: 'verdict' }, verdict.join(' ')),
    run ? figures(run) : null,
  );
}

/** Stages whose times differ by less than this are called even. */
const EVEN = 1.1;
/** Below this share of the best, the stages are not what is slow. */
const NEAR = 0.75;

/** What the figures say, in sentences. */
function verdictOf({ summary }: RunPart): string[] {
  const { stages, rows, rowsBefore = 0, seconds, rowsPerSecond, predicted, stopped } = summary;
  const said: string[] = [];
  if (stopped) said.push('The run was stopped before its rows ended.');
  const best = predicted.rowsPerSecond > 0 ? rowsPerSecond / predicted.rowsPerSecond : 0;
  if (rowsBefore > 0) said.push(`It went on after ${several(rowsBefore, 'row')} of earlier runs.`);
  said.push(
    `${several(rows - rowsBefore, 'row')} in ${duration(seconds)}: ${percent(best)} of what these stages give at best.`,
  );
  if (stages.length < 2 || seconds === 0) return said;
  const busy = stages.reduce((sum, stage) => sum + stage.busySeconds, 0);
  const workers = stages.reduce((sum, stage) => sum + stage.workers, 0);
  said.push(`On average ${(busy / seconds).toFixed(2)} of ${count(workers)} workers computed at once.`);
  if (best < NEAR) {
    said.push(
      'The rest went by while nothing was there to compute: larger micro-batches, or a machine without other work, would help most.',
    );
    return said;
  }
  const pace = (stage: (typeof stages)[number]) => stage.busySeconds / stage.workers;
  const slowest = stages.reduce((a, b) => (pace(b) > pace(a) ? b : a));
  const fastest = stages.reduce((a, b) => (pace(b) < pace(a) ? b : a));
  if (pace(slowest) < EVEN * pace(fastest))
    said.push('The stages take equally long, which is the best cut that there can be.');
  else {
    const less = companyOf(stages, slowest).others.length > 0 ? 'turns' : 'layers';
    said.push(
      `Stage ${slowest.stage} on ${slowest.device} sets the pace; fewer ${less} or another worker there would help most.`,
    );
  }
  return said;
}

function figures({ summary }: RunPart): HTMLElement {
  const { rowsPerSecond, predicted, rows, seconds, loadSeconds, bubble, stages, peakRssBytes, failedRows } = summary;
  const busy = stages.reduce((sum, stage) => sum + stage.busySeconds, 0);
  const workers = stages.reduce((sum, stage) => sum + stage.workers, 0);
  const figure = (name: string, value: string, more: string, kind = '') =>
    element(
      'div',
      { class: kind },
      element('dt', {}, name),
      element('dd', {}, element('b', {}, value), element('span', { class: 'quiet' }, more)),
    );
  return element(
    'dl',
    { class: 'figures' },
    figure('rows per second', rate(rowsPerSecond), `${rate(predicted.rowsPerSecond)} at best`),
    figure('time', duration(seconds), `and ${duration(loadSeconds)} to plan and load`),
    figure('computing at once', seconds > 0 ? (busy / seconds).toFixed(2) : '–', `of ${several(workers, 'worker')}`),
    figure('bubble', percent(Math.max(0, bubble.measured)), `${percent(Math.max(0, bubble.predicted))} predicted`),
    figure('peak memory', bytes(peakRssBytes), 'all processes'),
    figure('failed rows', count(failedRows), `of ${count(rows)}`, failedRows > 0 ? 'bad' : ''),
  );
}
