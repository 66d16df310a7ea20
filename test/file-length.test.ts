/** Files stay short: a source file that grows past a screen or two has more than one concept. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** Lines of a source file, at most. */
const MOST = 299;

test('no source file has 300 lines or more', () => {
  const files = ['src', 'workers'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((name) => join(top, name)),
  );
  const sources = files.filter((name) => name.endsWith('.ts'));
  assert.ok(sources.length > 300, `${sources.length} files were read`);
  const lengths = sources.map((file) => ({
    file,
    lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1,
  }));
  assert.deepEqual(
    lengths.filter(({ lines }) => lines > MOST),
    [],
  );
});
