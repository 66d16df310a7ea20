/** The shared file between processes: it is allocated and zero before a process maps it, and there is nothing to clean up. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { mapFile } from '../../src/arena/mapped-file.js';
import { clearSharedFile, closeSharedFile, openSharedFile } from '../../src/arena/shared-file.js';

const fd = openSharedFile();
after(() => closeSharedFile(fd));

test('clearing makes it zeros up to the given size, whatever it held, and allocates all of it', () => {
  for (const bytes of [4096, 3 * 2 ** 20 + 64, 8192]) {
    clearSharedFile(fd, bytes);
    const { size, blocks } = fstatSync(fd);
    assert.ok(size >= bytes && blocks * 512 >= bytes);
    const mapped = new Uint8Array(mapFile(fd, bytes).buffer);
    assert.ok(mapped.every((byte) => byte === 0));
    mapped.fill(7);
  }
});

test('what is written through one mapping is read through another', () => {
  clearSharedFile(fd, 4096);
  const [one, other] = [0, 1].map(() => new Float32Array(mapFile(fd, 4096).buffer));
  assert.notEqual(one!.buffer, other!.buffer);
  one!.set([1, 2, 3], 7);
  assert.deepEqual([...other!.subarray(7, 10)], [1, 2, 3]);
});

test('closing frees its memory, though it is still mapped and open elsewhere', {
  skip: process.platform !== 'linux' && 'only Linux can do that',
}, () => {
  const own = openSharedFile();
  const bytes = 2 ** 20;
  clearSharedFile(own, bytes);
  const seen = new Uint8Array(mapFile(own, bytes).buffer).fill(7);
  const still = openSync(`/proc/self/fd/${own}`, 'r');
  try {
    closeSharedFile(own);
    assert.equal(fstatSync(still).blocks, 0);
    assert.equal(seen[12], 0);
  } finally {
    closeSync(still);
  }
});

test('when memory is full, clearing fails, so no process maps the file', {
  skip: !existsSync('/dev/full') && 'no /dev/full here',
}, () => {
  const full = openSync('/dev/full', 'w');
  try {
    assert.throws(() => clearSharedFile(full, 1e6), { code: 'TANDEM_OUT_OF_MEMORY', remedy: /--depth/ });
  } finally {
    closeSync(full);
  }
});

test('it is unlinked, so no name is left behind', { skip: !existsSync('/dev/shm') && 'no /dev/shm here' }, () => {
  assert.deepEqual(
    readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-')),
    [],
  );
});
