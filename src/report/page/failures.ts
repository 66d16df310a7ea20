/** Shows failed rows by error code, with the first rows of each code. */
import type { RunPart } from '../record.js';
import { element, folded, section, table } from './element.js';
import { count, several } from './figures.js';

export function failures({ summary, errors }: RunPart): HTMLElement {
  if (errors.length === 0) return section('errors', 'Errors', element('p', { class: 'good' }, 'No row failed.'));
  const most = Math.max(...errors.map((each) => each.count));
  const rows = errors.map((each) => {
    const fill = element('i', { class: 'bad' });
    fill.style.width = `${(each.count / most) * 100}%`;
    const bar = element('span', { class: 'ratio' }, element('span', { class: 'track' }, fill));
    return [element('code', {}, each.code), count(each.count), bar];
  });
  const examples = errors.map(({ code, examples: first, count: all }) =>
    folded(
      first.length === all
        ? `${code}: ${several(all, 'row')}`
        : `${code}: the first ${count(first.length)} of ${several(all, 'row')}`,
      () =>
        table(
          `Rows that failed with ${code}`,
          [{ title: 'row', right: true }, { title: 'id' }, { title: 'error' }],
          first.map(({ index, id, message }) => [
            count(index),
            element('bdi', {}, String(id)),
            element('bdi', {}, message),
          ]),
        ),
    ),
  );
  return section(
    'errors',
    'Errors',
    element(
      'p',
      { class: 'quiet' },
      `${several(summary.failedRows, 'row')} of ${count(summary.rows)} failed; no other row was affected.`,
    ),
    table('Errors by code', [{ title: 'code' }, { title: 'rows', right: true }, { title: '' }], rows),
    ...examples,
  );
}
