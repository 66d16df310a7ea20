/** Builds versitygw, an S3 server over a folder, from its Go module, for the tests of the store of shards: `node dist/scripts/versitygw.js`. Two minutes, once a user. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../src/machine/cache-folder.js';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/** Where it is, or is going to be. */
export const VERSITYGW = join(cacheFolder(), 'versitygw-1.8.0', 'versitygw');

/** Why it is not here; `null` if it is. */
export function versitygwMissing(): string | null {
  if (existsSync(VERSITYGW)) return null;
  const go =
    spawnSync('go', ['version']).status === 0
      ? 'type: node dist/scripts/versitygw.js'
      : 'there is no Go to build it with';
  return `versitygw, a real S3 server, is not built: ${go}`;
}

function build(): void {
  if (existsSync(VERSITYGW)) return;
  const folder = `${VERSITYGW}.building.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder };
  const { status } = spawnSync('go', ['install', MODULE], { env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`go install ${MODULE} failed`);
  renameSync(join(folder, 'versitygw'), VERSITYGW);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  build();
  process.stdout.write(`${VERSITYGW}\n`);
}
