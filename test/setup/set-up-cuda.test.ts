/** `tandem setup cuda`: what it refuses before it fetches anything, and what it links; the wheel is a tiny one that real pip fetches from a folder. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PROVIDER_FILES } from '../../src/engine/onnxruntime/cuda-libraries.js';
import type { NvidiaDriver } from '../../src/machine/cards/nvidia.js';
import { requireCard, setUpCuda } from '../../src/setup/set-up-cuda.js';
import type { LibrarySource } from '../../src/setup/tensorflow-wheels.js';
import { tandem } from '../cli/tandem-process.js';
import { FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { missingTools, scratch, userOf, writeFiles } from './tiny-tensorflow.js';

function driverWith(version: string, ...capabilities: readonly (string | null)[]): NvidiaDriver {
  const cards = capabilities.map((computeCapability, index) => ({
    ...({
      maker: 'NVIDIA',
      name: `card ${index}`,
      bus: null,
      kind: 'discrete',
      memory: null,
      hasDisplay: false,
    } as const),
    ...{
      driver: `nvidia ${version}`,
      uuid: `GPU-${index}`,
      cuda: { index, visibleAs: String(index), computeCapability },
    },
  }));
  return { version, fault: null, cards };
}

test('a driver from 580 on with a card from 7.5 on can run it; one such card among others is enough', () => {
  assert.equal(requireCard(driverWith('580.65.06', '7.5')), null);
  assert.equal(requireCard(driverWith('610.12', '6.1', '8.9')), null);
  assert.equal(requireCard(driverWith('580.65.06', '12.0')), null);
  assert.match(requireCard(driverWith('580.65.06', null))!, /does not report/);
});

test('what cannot run it is refused with what to do instead', () => {
  const cases: readonly (readonly [NvidiaDriver | null, RegExp, RegExp])[] = [
    [null, /there is no NVIDIA driver/, /580 or newer first; without an NVIDIA card .*provider=webgpu/],
    [
      driverWith('575.57.08', '8.9'),
      /driver 575\.57\.08, and CUDA 13 needs 580 or newer/,
      /update the driver, or .*provider=webgpu/,
    ],
    [
      driverWith('580.65.06', '6.1'),
      /card 0 has compute capability 6\.1, and the provider needs 7\.5/,
      /provider=webgpu/,
    ],
    [
      { ...driverWith('580.65.06'), fault: { why: 'the driver finds no card', remedy: 'look' } },
      /finds no card/,
      /^look$/,
    ],
  ];
  for (const [driver, message, remedy] of cases)
    assert.throws(() => requireCard(driver), { code: 'TANDEM_SETUP_FAILED', message, remedy });
});

describe('with pip', { skip: missingTools() }, () => {
  let index: string;
  let source: LibrarySource;
  before(() => {
    index = mkdtempSync(join(tmpdir(), 'tandem-cuda-'));
    source = tinyProvider(index);
  });
  after(() => rmSync(index, { recursive: true }));

  test('nothing is fetched where the driver is too old', async (t) => {
    const env = userOf(t, index);
    const [into, driver] = [scratch(t), driverWith('570.1', '8.9')];
    await assert.rejects(setUpCuda({ driver, source, into, env }), { code: 'TANDEM_SETUP_FAILED' });
    assert.deepEqual(readdirSync(env.XDG_CACHE_HOME!), []);
    assert.deepEqual(readdirSync(into), []);
  });

  test('the provider is fetched once, linked beside the library, and tried there', async (t) => {
    const env = userOf(t, index);
    const [into, driver] = [scratch(t), driverWith('580.65.06', '8.9')];
    const lines: string[] = [];
    const found = { works: true, version: '1.30.0', device: 'GPU', deviceName: 'card 0, through CUDA' } as const;
    const probe = async () => {
      for (const file of PROVIDER_FILES) {
        assert.ok(lstatSync(join(into, file)).isSymbolicLink());
        assert.match(readlinkSync(join(into, file)), /tandem\/tiny-cuda-9\.9\.9\/onnxruntime\/capi\//);
        assert.equal(readFileSync(join(into, file), 'utf8'), file);
      }
      return found;
    };
    const setUp = () => setUpCuda({ driver, source, into, env, probe, say: (line) => lines.push(line) });
    assert.deepEqual(await setUp(), { ...found, kept: false });
    await setUp();
    assert.equal(lines.filter((line) => /^fetching CUDA/.test(line)).length, 1);
    assert.equal(readdirSync(into).length, PROVIDER_FILES.length);
  });

  test('a provider that does not work is named with what to do, and taken away again', async (t) => {
    const [env, into, driver] = [userOf(t, index), scratch(t), driverWith('580.65.06', '8.9')];
    const probe = async () => ({ works: false, reason: 'libcudnn.so.9 is not here', remedy: 'mend it' }) as const;
    await assert.rejects(setUpCuda({ driver, source, into, env, probe }), {
      code: 'TANDEM_SETUP_FAILED',
      message: /does not work here: libcudnn\.so\.9 is not here$/,
      remedy: 'mend it',
    });
    assert.deepEqual(readdirSync(into), []);
  });

  test('a provider that somebody has put there is not replaced', async (t) => {
    const [into, driver] = [scratch(t), driverWith('580.65.06', '8.9')];
    writeFileSync(join(into, PROVIDER_FILES[1]), 'by hand');
    await assert.rejects(setUpCuda({ driver, source, into, env: userOf(t, index) }), {
      code: 'TANDEM_SETUP_FAILED',
      message: /is there already, from elsewhere/,
      remedy: /^remove it: rm /,
    });
    assert.equal(readFileSync(join(into, PROVIDER_FILES[1]), 'utf8'), 'by hand');
  });
});

function tinyProvider(index: string): LibrarySource {
  const file = 'tiny_cuda-9.9.9-py3-none-any.whl';
  const build = join(index, 'build');
  mkdirSync(build);
  const info = 'tiny_cuda-9.9.9.dist-info';
  writeFiles(build, {
    ...Object.fromEntries(PROVIDER_FILES.map((name) => [`onnxruntime/capi/${name}`, name])),
    'onnxruntime/capi/unwanted.so': 'no',
    [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: tiny-cuda\nVersion: 9.9.9\n',
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  });
  const zip = `import shutil; shutil.make_archive('../cuda', 'zip', '.'); shutil.move('../cuda.zip', '../${file}')`;
  execFileSync('python3', ['-c', zip], { cwd: build });
  const sha256 = createHash('sha256')
    .update(readFileSync(join(index, file)))
    .digest('hex');
  const members = PROVIDER_FILES.map((name) => `onnxruntime/capi/${name}`);
  return { name: 'tiny-cuda-9.9.9', downloadBytes: 1e4, diskBytes: 1e5, wheels: [{ file, sha256, members }] };
}

describe('on the command line', { skip: whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
  });
  after(() => libraries[Symbol.dispose]());

  test('setup alone lists what this machine could use and what it would take; an old card is told why', async () => {
    const setup = () => tandem(['setup'], { cwd: libraries.folder, env: libraries.env });
    libraries.reports({ cards: [{ name: 'NVIDIA GeForce GTX 1080', uuid: 'GPU-1', total: 8192, cc: '6.1' }] });
    const old = await setup();
    assert.equal(old.status, 0, old.stderr);
    assert.match(
      old.stdout.toString(),
      /^cuda +(not here|installed) +1\.\d GB .*GTX 1080 has compute capability 6\.1/m,
    );
    assert.match(old.stdout.toString(), /^tensorflow-gpu .*3\.4 GB/m);
    libraries.reports({ cards: [{ name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5' }] });
    assert.match((await setup()).stdout.toString(), /^cuda +(can be used|installed) .*RTX 2060, by CUDA$/m);
  });

  test('setup cuda ends with 78 and what to do where the driver is too old', async () => {
    libraries.reports({ version: '535.183.01', cards: [{ name: 'RTX', uuid: 'GPU-1', total: 6144, cc: '8.6' }] });
    const { status, stderr } = await tandem(['setup', 'cuda'], {
      cwd: libraries.folder,
      env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder },
    });
    assert.equal(status, 78, stderr);
    assert.match(stderr, /driver 535\.183\.01, and CUDA 13 needs 580 or newer[\s\S]*provider=webgpu/);
  });
});
