/** Compares figures: a bar for each case with its spread, and a mark at its ideal value. */
import type { Comparison } from '../record.js';
import { element, section, table } from './element.js';
import { percent, rate } from './figures.js';

export function comparison({ title, unit, note, cases }: Comparison, number: number): HTMLElement {
  const most = Math.max(1e-9, ...cases.flatMap(({ value, spread = 0, ideal = 0 }) => [value * (1 + spread), ideal]));
  const rows = cases.map(({ name, value, spread, ideal, note: remark, emphasis }) => {
    const track = element('span', { class: 'track' });
    const part = (tag: 'i' | 'em' | 's', kind: string, from: number, to: number) => {
      const made = element(tag, { class: kind });
      made.style.left = `${(from / most) * 100}%`;
      made.style.width = `${((to - from) / most) * 100}%`;
      track.append(made);
    };
    part('i', emphasis ? 'value emphasis' : 'value', 0, value);
    if (spread) part('s', 'spread', value * (1 - spread), value * (1 + spread));
    if (ideal !== undefined) part('em', 'ideal', ideal, ideal);
    const figure = element('b', {}, rate(value));
    return [
      emphasis ? element('b', {}, name) : name,
      element('span', { class: 'ratio wide' }, track),
      figure,
      spread === undefined ? null : `±\u2009${(spread * 100).toFixed(1)}\u2009%`,
      ideal === undefined ? null : percent(value / ideal),
      remark ?? null,
    ];
  });
  const has = (key: 'spread' | 'ideal' | 'note') => cases.some((each) => each[key] !== undefined);
  const columns = [
    { title: 'case', shown: true },
    { title: '', shown: true },
    { title: unit, right: true, shown: true },
    { title: 'spread', right: true, shown: has('spread') },
    { title: 'of its best', right: true, shown: has('ideal') },
    { title: '', shown: has('note') },
  ];
  const kept = (cells: readonly (Node | string | null)[]) => cells.filter((_, c) => columns[c]!.shown);
  return section(
    `comparison-${number}`,
    title,
    note === undefined ? null : element('p', { class: 'quiet' }, note),
    table(
      title,
      columns.filter(({ shown }) => shown),
      rows.map(kept),
    ),
  );
}
