/** `tandem setup openvino`: the pinned wheels, and what is fetched, kept and refused with a tiny wheel that real pip fetches from a folder. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OPENVINO_LIBRARY, OPENVINO_VERSION, openvinoLibrary } from '../../src/engine/openvino/files.js';
import { cacheFolder } from '../../src/machine/cache-folder.js';
import { openvinoSource } from '../../src/setup/openvino-wheels.js';
import { setUpOpenvino } from '../../src/setup/set-up-openvino.js';
import type { LibrarySource } from '../../src/setup/tensorflow-wheels.js';
import { missingTools, userOf, writeFiles } from './tiny-tensorflow.js';

test('every pinned wheel is of the release that the bindings are written for, with a full hash', () => {
  for (const arch of ['x64', 'arm64'] as const) {
    const { name, wheels } = openvinoSource('linux', arch)!;
    assert.equal(name, `openvino-${OPENVINO_VERSION}`);
    assert.equal(wheels.length, 1);
    assert.match(wheels[0]!.file, new RegExp(`^openvino-${OPENVINO_VERSION}-\\d+-cp312-`));
    assert.match(wheels[0]!.sha256, /^[0-9a-f]{64}$/);
  }
  assert.equal(openvinoSource('win32', 'x64'), null);
});

const WORKS = { works: true, version: '9', device: 'CPU', deviceName: 'a CPU' } as const;

describe('setting up', { skip: missingTools() }, () => {
  let index: string;
  let source: LibrarySource;
  before(() => {
    index = mkdtempSync(join(tmpdir(), 'tandem-index-'));
    source = tinyOpenvino(index);
  });
  after(() => rmSync(index, { recursive: true }));

  test('the needed members are fetched once; a second call tries what is there', async (t) => {
    const env = userOf(t, index);
    const lines: string[] = [];
    const setUp = (force = false) =>
      setUpOpenvino({ source, env, force, probe: async () => WORKS, say: (line) => lines.push(line) });
    assert.equal((await setUp()).kept, false);
    const library = openvinoLibrary(cacheFolder(env))!;
    assert.equal(readFileSync(library, 'utf8'), 'the library');
    assert.ok(!existsSync(join(library, '../../unwanted.py')));
    assert.equal((await setUp()).kept, true);
    assert.equal(lines.filter((line) => /^fetching/.test(line)).length, 1);
    // Of another size it is fetched again.
    writeFileSync(library, 'cut off');
    assert.equal((await setUp()).kept, false);
    assert.equal(readFileSync(library, 'utf8'), 'the library');
  });

  test('other bytes than the pinned ones are refused, and nothing is kept', async (t) => {
    const env = userOf(t, index);
    const [wheel] = source.wheels;
    const other = { ...source, wheels: [{ ...wheel!, sha256: '0'.repeat(64) }] };
    await assert.rejects(setUpOpenvino({ source: other, env, probe: async () => WORKS }), {
      code: 'TANDEM_SETUP_FAILED',
      message: /its sha256 is/,
    });
    assert.equal(openvinoLibrary(cacheFolder(env)), null);
  });

  test('what does not work here is named; a platform without a wheel fetches nothing', async (t) => {
    const env = userOf(t, index);
    const probe = async () => ({ works: false, reason: 'no such instruction' }) as const;
    await assert.rejects(setUpOpenvino({ source, env, probe }), { message: /does not work here: no such instruction/ });
    await assert.rejects(setUpOpenvino({ source: null, env, probe }), { message: /no library is fetched for/ });
  });
});

/** With a build number in its name, as the real one has. */
function tinyOpenvino(index: string): LibrarySource {
  const file = 'openvino-9.9.9-123-py3-none-any.whl';
  const build = join(index, 'build');
  mkdirSync(build);
  const info = 'openvino-9.9.9.dist-info';
  writeFiles(build, {
    [OPENVINO_LIBRARY]: 'the library',
    'openvino/unwanted.py': 'no',
    [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: openvino\nVersion: 9.9.9\n',
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\nBuild: 123\n',
    [`${info}/RECORD`]: '',
  });
  const zip = `import shutil; shutil.make_archive('../openvino', 'zip', '.'); shutil.move('../openvino.zip', '../${file}')`;
  execFileSync('python3', ['-c', zip], { cwd: build });
  const sha256 = createHash('sha256')
    .update(readFileSync(join(index, file)))
    .digest('hex');
  const { name, wheels } = openvinoSource('linux', 'x64')!;
  return { name, downloadBytes: 1e4, diskBytes: 1e5, wheels: [{ file, sha256, members: wheels[0]!.members }] };
}
