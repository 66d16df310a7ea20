/** Generated rows have the requested size, and are the same in both formats. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeRows } from '../../scripts/make-rows.js';
import { openSource } from '../../src/rows/open-source.js';
import { inputSpec, readAll } from '../fixtures/rows-read.js';
import { tempFolder } from '../fixtures/temp-folder.js';

test('the requested number of rows, the same in NPY and JSON lines, and again from the same seed', async (t) => {
  const at = tempFolder(t);
  for (const name of ['a.npy', 'a.jsonl', 'b.npy']) makeRows(at(name), 2003, [2, 3]);
  makeRows(at('c.npy'), 2003, [2, 3], { seed: 2 });
  const spec = inputSpec('x', 'float32', 2, 3);
  const [npy, jsonl] = [
    await readAll(await openSource(at('a.npy'), [spec]), 500),
    await readAll(await openSource(at('a.jsonl'), [spec]), 500),
  ];
  assert.equal(npy.rows, 2003);
  assert.deepEqual(npy.values, jsonl.values);
  assert.deepEqual([npy.failures, jsonl.failures], [[], []]);
  assert.ok(npy.values[0]!.every((value) => value >= -1 && value <= 1));
  assert.deepEqual(readFileSync(at('a.npy')), readFileSync(at('b.npy')));
  assert.notDeepEqual(readFileSync(at('a.npy')), readFileSync(at('c.npy')));
});
