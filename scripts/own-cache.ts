/**
 * Loaded into the process of each test file by scripts/test.ts: gives the file a cache folder of its own, so that no test meets what another
 * test, or the person at this machine, has measured. What was downloaded is linked into it.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { cacheFolder } from '../src/machine/cache-folder.js';
import { STORE_KINDS } from '../src/planner/measure/store.js';

const PREFIX = 'tandem-test-cache-';
/** The threads and forked processes of a test file load this too, and share its folder. */
const isChild = !isMainThread || process.env.XDG_CACHE_HOME?.includes(PREFIX);

// The process of the runner has no tests.
if (process.env.NODE_TEST_CONTEXT !== undefined && !isChild) {
  const shared = cacheFolder();
  const own = mkdtempSync(join(tmpdir(), PREFIX));
  process.env.XDG_CACHE_HOME = own;
  mkdirSync(cacheFolder());
  for (const name of entriesOf(shared)) {
    if (!(STORE_KINDS as readonly string[]).includes(name)) symlinkSync(join(shared, name), join(cacheFolder(), name));
  }
  process.on('exit', () => rmSync(own, { recursive: true, force: true }));
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
