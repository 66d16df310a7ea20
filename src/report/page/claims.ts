/** Shows the claims of a proof: each with what became of it, and its figures. */
import type { RunRecord } from '../record.js';
import { element, section, table } from './element.js';

const CLASSES = { held: 'good', 'did not hold': 'warning', 'not tried': 'quiet' } as const;

export function claims(all: NonNullable<RunRecord['claims']>): HTMLElement {
  const rows = all.map(({ number, claim, outcome, figures }) => [
    String(number),
    element('b', {}, claim),
    element('span', { class: CLASSES[outcome] }, outcome),
    element('bdi', {}, figures),
  ]);
  const columns = [{ title: '', right: true }, { title: 'claim' }, { title: 'outcome' }, { title: 'figures' }];
  return section('claims', 'Claims', table('Claims and what became of them', columns, rows));
}
