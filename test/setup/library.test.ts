/** The cached library on a full disk: a small tmpfs, if this user may mount one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fetchLibrary } from '../../src/setup/library.js';
import { missingTools, scratch, tinyTensorflow, userOf } from './tiny-tensorflow.js';

function mountSmallDisk(folder: string, size: string): string | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'this user may not mount a tmpfs';
  }
}

// The wheel is about 5 KB, its libraries 15 KB each; pip and the unpacking fill the disk at different sizes.
for (const [size, where] of [
  ['4k', 'fetching'],
  ['24k', 'unpacking'],
] as const) {
  test(`a disk that fills up while ${where} is reported, and the space is freed`, {
    skip: missingTools(),
  }, async (t) => {
    const index = scratch(t);
    const source = { ...tinyTensorflow(index), diskBytes: 0 };
    const cache = scratch(t);
    const refused = mountSmallDisk(cache, size);
    if (refused) return t.skip(refused);
    try {
      await assert.rejects(fetchLibrary(source, { cache, env: userOf(t, index), say: () => {} }), {
        code: 'TANDEM_SETUP_FAILED',
        message: `cannot keep ${source.name}: the disk is full (${cache})`,
        remedy: /XDG_CACHE_HOME/,
      });
      assert.deepEqual(readdirSync(cache), []);
    } finally {
      execFileSync('umount', [cache]);
    }
  });
}
