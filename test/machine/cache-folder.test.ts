/** One cache folder per platform's custom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheFolder } from '../../src/machine/cache-folder.js';

test('XDG_CACHE_HOME decides where it is an absolute path', () => {
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/big/disk' }, 'linux', '/home/me'), '/big/disk/tandem');
  assert.equal(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux', '/home/me'), '/home/me/.cache/tandem');
});

test('every platform has its own place', () => {
  assert.equal(cacheFolder({}, 'linux', '/home/me'), '/home/me/.cache/tandem');
  assert.equal(cacheFolder({}, 'darwin', '/Users/me'), '/Users/me/Library/Caches/tandem');
  assert.match(cacheFolder({ LOCALAPPDATA: 'C:\\Local' }, 'win32', 'C:\\me'), /^C:\\Local.tandem.Cache$/);
});
