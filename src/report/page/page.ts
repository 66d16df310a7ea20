/** The page: reads its record and assembles the sections. */
import type { RunRecord } from '../record.js';
import { claims } from './claims.js';
import { comparison } from './comparisons.js';
import { element, section } from './element.js';
import { failures } from './failures.js';
import { bytes } from './figures.js';
import { headline, masthead } from './headline.js';
import { plan } from './plan.js';
import { predictions } from './predictions.js';
import { preparing } from './preparing.js';
import { themeSwitch } from './theme.js';
import { throughput } from './throughput.js';
import { timeline } from './timeline.js';

const record: RunRecord = JSON.parse(document.getElementById('record')!.textContent!);
const drawn = record.run ? [timeline(record.run), throughput(record.run)] : [];
const paintAll = () => {
  for (const each of drawn) each.paint();
};
const sections = record.run
  ? [
      drawn[0]!.place,
      preparing(record.run),
      plan(record.run),
      drawn[1]!.place,
      predictions(record.run),
      failures(record.run),
    ]
  : [];
document.title = `${record.title} · tandem`;
document.body.append(
  masthead(themeSwitch(paintAll)),
  element(
    'main',
    {},
    headline(record),
    record.claims ? claims(record.claims) : null,
    ...record.comparisons.map(comparison),
    ...sections,
    circumstances(record),
  ),
);
new ResizeObserver(paintAll).observe(document.body);
paintAll();

/** The facts that are needed to reproduce the figures. */
function circumstances({ command, machine, createdAt }: RunRecord): HTMLElement {
  const facts: [string, string][] = [
    ['processor', machine.cpu],
    ['cores', String(machine.cores)],
    ['memory', bytes(machine.memoryBytes)],
    ...machine.cards.map((card): [string, string] => ['graphics card', card]),
    ['system', machine.system],
    ['Node', machine.node],
    ['made at', createdAt],
  ];
  return section(
    'circumstances',
    'Machine and command',
    element('pre', { tabindex: '0', 'aria-label': 'Command line' }, element('code', {}, command.map(quoted).join(' '))),
    element(
      'dl',
      { class: 'facts columns' },
      ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    ),
  );
}

/** An argument of the command line, quoted for a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
