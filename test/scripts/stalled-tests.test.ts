/** A test that hangs is named, and ends its file. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

test('the test that hangs is named', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-stalled-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'hangs.test.mjs');
  writeFileSync(
    file,
    `import { test } from 'node:test';
     test('ends', () => {});
     test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));`,
  );
  const watch = pathToFileURL(resolve(import.meta.dirname, '../../scripts/stalled-tests.js')).href;
  const env = { ...process.env, TEST_TIMEOUT: '1000', NODE_TEST_CONTEXT: undefined };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', watch, '--test', file], {
    encoding: 'utf8',
    env,
  });
  assert.equal(status, 1);
  assert.match(stdout + stderr, /no test started or ended for 1 s; running: "hangs"/);
});
