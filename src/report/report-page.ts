/** The report: a record as one HTML file that needs nothing else and asks the network for nothing. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { ROOT } from '../package.js';
import { RECORD_ELEMENT, type RunRecord } from './record.js';

/** The page's script, in the order in which one part needs the other. */
const PARTS = [
  'element',
  'figures',
  'stage-groups',
  'theme',
  'lanes',
  'scale',
  'lane-painting',
  'lane-telling',
  'timeline-view',
  'overview',
  'timeline',
  'plan',
  'throughput',
  'predictions',
  'failures',
  'comparisons',
  'headline',
  'page',
] as const;

export function reportPage(record: RunRecord): string {
  const style = read('src/report/page/page.css');
  const script = pageScript();
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  // Inside a script element only `<` could begin something that is no data.
  const data = JSON.stringify(record).replaceAll('<', '\\u003c');
  const values = { policy, style, recordElement: RECORD_ELEMENT, record: data, script };
  return read('src/report/page/page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => values[name as keyof typeof values]);
}

/** The compiled modules as one script: they share a scope, so what they say to each other by import and export is left out. */
function pageScript(): string {
  const parts = PARTS.map((name) =>
    read(`dist/src/report/page/${name}.js`)
      .replace(/^import [^;]*;\n/gm, '')
      .replace(/^export (?=(async )?(function|class|const|let) )/gm, '')
      .replace(/^export \{\};?\n/gm, ''),
  );
  return `\n(() => {\n'use strict';\n${parts.join('\n')}})();\n`;
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function read(path: string): string {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch (cause) {
    throw new TandemError('TANDEM_INTERNAL', `a part of the report page is missing: ${path}`, {
      remedy: 'compile it: npm run build; or install tandem again',
      cause,
    });
  }
}
