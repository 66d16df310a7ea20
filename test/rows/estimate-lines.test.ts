/** How many rows a text file has, about: exact for a small file, by its first MiB for a large one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { estimateLines } from '../../src/rows/estimate-lines.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-lines-'));
after(() => rmSync(folder, { recursive: true }));

function estimated(...texts: (string | Buffer)[]): number | null {
  const paths = texts.map((_, n) => join(folder, `${n}.jsonl`));
  for (const [n, text] of texts.entries()) writeFileSync(paths[n]!, text);
  return estimateLines(paths);
}

test('a small file is counted, with or without a newline at its end', () => {
  assert.equal(estimated('[1]\n[2]\n[3]\n'), 3);
  assert.equal(estimated('[1]\n[2]\n[3]'), 3);
  assert.equal(estimated('[1]'), 1);
  assert.equal(estimated(''), 0);
});

test('a large file is estimated from its first lines', () => {
  const line = `${'x'.repeat(99)}\n`;
  const about = estimated(line.repeat(50_000));
  assert.ok(Math.abs(about! - 50_000) <= 1, `${about}`);
});

test('one line that does not end within a MiB says nothing', () => {
  assert.equal(estimated('x'.repeat(3 << 20)), null);
});

test('several files are added up; a compressed file, a folder or none at all says nothing', () => {
  assert.equal(estimated('[1]\n[2]\n', '[3]'), 3);
  assert.equal(estimated('[1]\n', gzipSync('[2]\n')), null);
  assert.equal(estimateLines([folder]), null);
  assert.equal(estimateLines(['-']), null);
});
