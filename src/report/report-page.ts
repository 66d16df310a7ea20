/** Makes the report page: a record as one self-contained HTML file without network requests. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { ROOT } from '../package.js';
import { RECORD_ELEMENT, type RunRecord } from './record.js';

/** The parts of the page's script, in dependency order. */
const PARTS = [
  'element',
  'figures',
  'stage-groups',
  'theme',
  'lanes',
  'scale',
  'lane-painting',
  'lane-captions',
  'timeline-view',
  'overview',
  'timeline',
  'plan',
  'throughput',
  'predictions',
  'preparing',
  'failures',
  'comparisons',
  'claims',
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
  // Inside a script element only `<` could end the data.
  const data = JSON.stringify(record).replaceAll('<', '\\u003c');
  const values = { policy, style, recordElement: RECORD_ELEMENT, record: data, script };
  return read('src/report/page/page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => values[name as keyof typeof values]);
}

/** Joins the compiled modules to one script. They share a scope, so imports and exports are removed. */
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
