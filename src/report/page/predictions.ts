/** Compares predicted with measured figures. */
import type { RunPart } from '../record.js';
import { element, section, table } from './element.js';
import { duration, percent, rate } from './figures.js';

export function predictions({ summary }: RunPart): HTMLElement {
  const { rows, rowsBefore = 0, rowsPerSecond, seconds, bubble, predicted, planned, stages } = summary;
  const ideal = predicted.rowsPerSecond > 0 ? (rows - rowsBefore) / predicted.rowsPerSecond : 0;
  const workers = stages.reduce((sum, stage) => sum + stage.workers, 0);
  const share = (value: number) => percent(Math.max(0, value));
  const lines: (readonly [name: string, predicted: string, measured: string, ratio: number | null])[] = [
    ['rows/s', rate(predicted.rowsPerSecond), rate(rowsPerSecond), ratioOf(rowsPerSecond, predicted.rowsPerSecond)],
    ['time', duration(ideal), duration(seconds), ratioOf(ideal, seconds)],
    ['bubble', share(bubble.predicted), share(bubble.measured), null],
    ...stages.map((stage) => {
      const best = ideal > 0 ? Math.min(1, stage.busySeconds / (ideal * stage.workers)) : 0;
      return [`stage ${stage.stage} ${stage.device} busy`, share(best), share(stage.utilisation), null] as const;
    }),
  ];
  return section(
    'predicted',
    'Predicted and measured',
    element(
      'p',
      { class: 'quiet' },
      `Predicted: the throughput of these stages, with their measured times, if reading, writing and every hop took no time. ${workers > 1 ? 'The bubble is the share of all workers’ time that was spent waiting. Both columns include the fill and the drain of the pipeline and uneven stages.' : ''}`,
    ),
    planned
      ? element(
          'p',
          {},
          `The plan, measured before the run, predicted ${rate(planned.rowsPerSecond)} rows/s with a bubble of ${share(planned.bubble)}; ${percent(ratioOf(rowsPerSecond, planned.rowsPerSecond) ?? 0)} of that was reached.`,
        )
      : null,
    table(
      'Predicted and measured',
      [
        { title: '' },
        { title: 'predicted', right: true },
        { title: 'measured', right: true },
        { title: 'of the best' },
      ],
      lines.map(([name, best, measured, ratio]) => [
        name,
        best,
        element('b', {}, measured),
        ratio === null ? null : bar(ratio),
      ]),
    ),
  );
}

function ratioOf(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

function bar(ratio: number): HTMLElement {
  const fill = element('i');
  fill.style.width = `${Math.min(100, ratio * 100)}%`;
  return element('span', { class: 'ratio' }, element('span', { class: 'track' }, fill), percent(ratio));
}
