/** The nameless file between processes: what was written is what is read, of any size, and there is nothing to clean up. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { Random } from '../../scripts/make-model/random.js';
import { closeSharedFile, openSharedFile, readAt, writeAt } from '../../src/arena/shared-file.js';

const MEBIBYTE = 2 ** 20;
const fd = openSharedFile();
after(() => closeSharedFile(fd));

/** Bytes that differ wherever they are cut. */
function made(length: number): Uint8Array {
  const words = new Random(length).floats(Math.ceil(length / 4), -1, 1);
  return new Uint8Array(words.buffer, 0, length);
}

for (const length of [0, 1, 4 * MEBIBYTE, 4 * MEBIBYTE + 1, 13 * MEBIBYTE + 7]) {
  test(`${length} bytes come back as they were, into shared memory`, async () => {
    const bytes = made(length);
    writeAt(fd, bytes, 4096);
    const back = new Uint8Array(new SharedArrayBuffer(length));
    await readAt(fd, back, 4096);
    assert.ok(Buffer.from(bytes).equals(Buffer.from(back)));
  });
}

test('what was never written cannot be read', async () => {
  for (const length of [16, 6 * MEBIBYTE])
    await assert.rejects(readAt(fd, new Uint8Array(length), 2 ** 32), { code: 'TANDEM_INTERNAL' });
});

test('it has no name that could be left behind', { skip: !existsSync('/dev/shm') && 'no /dev/shm here' }, () => {
  assert.deepEqual(
    readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-')),
    [],
  );
});
