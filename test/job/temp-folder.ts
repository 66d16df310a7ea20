/** A fresh folder for the files of one test, removed when it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Returns a function that puts a name under the folder. */
export function tempFolder(t: TestContext): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}
