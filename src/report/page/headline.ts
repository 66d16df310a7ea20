/** The head of the page: the job, a summary in a few sentences, and the main figures. */
import type { RunPart, RunRecord } from '../record.js';
import { drawing, element } from './element.js';
import { bytes, count, duration, percent, rate, several } from './figures.js';
import { replicasOf } from './stage-groups.js';

export function masthead(theme: HTMLElement): HTMLElement {
  return element('header', { class: 'masthead' }, element('p', { class: 'brand' }, bicycle(), 'tandem'), theme);
}

/** The logo: two wheels, one frame, two riders. */
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
  const sentences = record.verdict ?? (run ? sentencesOf(run) : []);
  const when = new Date(createdAt);
  const date = Number.isNaN(when.getTime())
    ? createdAt
    : when.toLocaleString('en', { dateStyle: 'long', timeStyle: 'short' });
  return element(
    'div',
    { class: 'headline' },
    element('h1', {}, element('bdi', {}, title)),
    element('p', { class: 'quiet' }, `${date} · tandem ${version} · ${machine.cpu}, ${several(machine.cores, 'core')}`),
    element('p', { class: 'conclusion' }, sentences.join(' ')),
    run ? figures(run) : null,
  );
}

/** Stages are called even if their times differ by less than this factor. */
const EVEN = 1.1;
/** Below this share of the best, the stages are not the bottleneck. */
const NEAR = 0.75;

/** The conclusions from the figures, as sentences. */
function sentencesOf({ summary }: RunPart): string[] {
  const { stages, rows, rowsBefore = 0, seconds, rowsPerSecond, predicted, stopped } = summary;
  const sentences: string[] = [];
  if (stopped) sentences.push('The run was stopped before its rows ended.');
  const best = predicted.rowsPerSecond > 0 ? rowsPerSecond / predicted.rowsPerSecond : 0;
  if (rowsBefore > 0) sentences.push(`It resumed after ${several(rowsBefore, 'row')} of earlier runs.`);
  sentences.push(
    `${several(rows - rowsBefore, 'row')} in ${duration(seconds)}: ${percent(best)} of the best that these stages can reach.`,
  );
  if (stages.length < 2 || seconds === 0) return sentences;
  const busy = stages.reduce((sum, stage) => sum + stage.busySeconds, 0);
  const workers = stages.reduce((sum, stage) => sum + stage.workers, 0);
  sentences.push(`On average ${(busy / seconds).toFixed(2)} of ${count(workers)} workers computed at once.`);
  if (best < NEAR) {
    // Larger micro-batches would change the answers.
    const helps =
      summary.batchInvariant === false
        ? 'a machine without other load'
        : 'larger micro-batches, or a machine without other load,';
    sentences.push(`The rest of the time no stage had work: ${helps} would help most.`);
    return sentences;
  }
  const pace = (stage: (typeof stages)[number]) => stage.busySeconds / stage.workers;
  const slowest = stages.reduce((a, b) => (pace(b) > pace(a) ? b : a));
  const fastest = stages.reduce((a, b) => (pace(b) < pace(a) ? b : a));
  if (pace(slowest) < EVEN * pace(fastest))
    sentences.push('The stages take equally long, which is the best possible cut.');
  else {
    const less = replicasOf(stages, slowest).others.length > 0 ? 'micro-batches' : 'layers';
    sentences.push(
      `Stage ${slowest.stage} on ${slowest.device} is the bottleneck; fewer ${less} or another worker there would help most.`,
    );
  }
  return sentences;
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
