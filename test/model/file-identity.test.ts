/** Files told apart by their contents: whole where they are small, by samples where they are not. */
import assert from 'node:assert/strict';
import { copyFileSync, openSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { identify } from '../../src/model/file-identity.js';
import { tempFolder } from '../fixtures/temp-folder.js';

test('a small file is what it holds, whenever and wherever it was written', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('a'), Buffer.alloc(3 << 20, 1));
  const before = await identify(at('a'));
  assert.match(before, /^3145728 bytes, sha256 [0-9a-f]{16}$/);
  copyFileSync(at('a'), at('b'));
  utimesSync(at('b'), 1, 1);
  assert.equal(await identify(at('b')), before);
  for (const place of [0, 1 << 20, (3 << 20) - 1]) {
    const file = openSync(at('b'), 'r+');
    writeSync(file, Buffer.from([2]), 0, 1, place);
    assert.notEqual(await identify(at('b')), before);
    writeSync(file, Buffer.from([1]), 0, 1, place);
  }
  writeFileSync(at('none'), '');
  assert.match(await identify(at('none')), /^0 bytes, sha256 /);
});

test('a large one is its samples, its size and when it was changed', async (t) => {
  const at = tempFolder(t);
  const bytes = (64 << 20) + 1;
  // Nearly all of it is a hole: it takes no room.
  const file = openSync(at('large'), 'w+');
  writeSync(file, Buffer.from([1]), 0, 1, bytes - 1);
  utimesSync(at('large'), 1000, 1000);
  const before = await identify(at('large'));
  assert.match(before, /^67108865 bytes, sha256 [0-9a-f]{16}, changed 1970-01-01T00:16:40\.000Z$/);
  utimesSync(at('large'), 1000, 1001);
  assert.notEqual(await identify(at('large')), before);
  for (const place of [0, bytes - 1]) {
    writeSync(file, Buffer.from([7]), 0, 1, place);
    utimesSync(at('large'), 1000, 1000);
    assert.notEqual(await identify(at('large')), before);
  }
});
