/** NVIDIA's cards by NVML: the real calls by koffi, into a false library. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bytesOfProcesses, type DriverPlaces, readNvidiaDriver } from '../../../src/machine/cards/nvidia.js';
import { type FalseDriver, FalseLibraries, whyNoFalseLibraries } from '../../fixtures/false-libraries.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const MEBIBYTE = 2 ** 20;
const RTX_2060 = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1a2b', bus: '00000000:01:00.0', total: 6144, cc: '7.5' };
const RTX_4090 = {
  name: 'NVIDIA GeForce RTX 4090',
  uuid: 'GPU-3c4d',
  bus: '00000000:65:00.0',
  total: 24564,
  cc: '8.9',
};

describe('NVML', { skip: whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  let count = 0;

  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
    process.env.FALSE_CARDS = libraries.env.FALSE_CARDS;
  });
  after(() => {
    libraries[Symbol.dispose]();
    delete process.env.FALSE_CARDS;
  });

  /** A library that is open stays as it was started, so each test has a copy of its own. */
  function driverOf(reports: FalseDriver, places: DriverPlaces = {}) {
    libraries.reports(reports);
    const nvml = join(libraries.folder, `copy-${count++}.so`);
    copyFileSync(libraries.file('libnvidia-ml.so.1'), nvml);
    return { nvml, driver: readNvidiaDriver({ nvml, visible: undefined, ...places }) };
  }

  test('a card has its name, place, memory, compute capability and screen', () => {
    const { driver } = driverOf({ version: '580.65.06', cards: [{ ...RTX_2060, used: 244, display: 1 }] });
    assert.deepEqual(driver, {
      version: '580.65.06',
      fault: null,
      cards: [
        {
          maker: 'NVIDIA',
          name: 'NVIDIA GeForce RTX 2060',
          uuid: 'GPU-1a2b',
          bus: '0000:01:00.0',
          kind: 'discrete',
          memory: { total: 6144 * MEBIBYTE, free: 5900 * MEBIBYTE },
          hasDisplay: true,
          driver: 'nvidia 580.65.06',
          cuda: { index: 0, visibleAs: '0', computeCapability: '7.5' },
        },
      ],
    });
  });

  test('CUDA_VISIBLE_DEVICES gives the cards and their order, as CUDA counts them', () => {
    const { nvml } = driverOf({ cards: [RTX_2060, RTX_4090] });
    const seen = (visible: string | undefined) =>
      readNvidiaDriver({ nvml, visible })!.cards.map(({ name, cuda }) => [
        name.slice(-4),
        cuda!.index,
        cuda!.visibleAs,
      ]);
    assert.deepEqual(seen(undefined), [
      ['2060', 0, '0'],
      ['4090', 1, '1'],
    ]);
    assert.deepEqual(seen('1,0'), [
      ['4090', 0, '1'],
      ['2060', 1, '0'],
    ]);
    assert.deepEqual(seen('GPU-3c'), [['4090', 0, 'GPU-3c']]);
    assert.deepEqual(seen('0,7,1'), [['2060', 0, '0']]);
  });

  test('of a card in MIG mode there is the part that CUDA sees, with its own memory', () => {
    const parts = [
      { name: 'NVIDIA A100 MIG 1g.5gb', uuid: 'MIG-aa', total: 4864, used: 13 },
      { name: 'NVIDIA A100 MIG 2g.10gb', uuid: 'MIG-bb', total: 9856 },
    ];
    const a100 = {
      name: 'NVIDIA A100',
      uuid: 'GPU-a1',
      bus: '00000000:07:00.0',
      total: 40960,
      cc: '8.0',
      mig: 1 as const,
    };
    const { nvml, driver } = driverOf({ cards: [{ ...a100, parts }] });
    const [part] = driver!.cards;
    assert.deepEqual(part!.memory, { total: 4864 * MEBIBYTE, free: 4851 * MEBIBYTE });
    assert.deepEqual(part!.cuda, { index: 0, visibleAs: 'MIG-aa', computeCapability: '8.0' });
    const [second] = readNvidiaDriver({ nvml, visible: 'MIG-bb' })!.cards;
    assert.equal(second!.memory!.total, 9856 * MEBIBYTE);
    const none = driverOf({ cards: [{ ...a100, parts: [] }] }).driver!;
    assert.deepEqual(none.cards, []);
    assert.match(none.fault!.remedy, /nvidia-smi mig/);
  });

  test('a driver that was updated while the machine ran is named, and has no card', (t) => {
    const folder = tempFolder(t);
    mkdirSync(folder('proc/driver/nvidia'), { recursive: true });
    writeFileSync(
      folder('proc/driver/nvidia/version'),
      'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun\n',
    );
    const { driver } = driverOf({ fail: 18, cards: [RTX_2060] }, { root: folder('') });
    assert.deepEqual(driver!.cards, []);
    assert.match(driver!.fault!.why, /kernel has loaded driver 535\.183\.01 and its libraries are of another/);
    assert.match(driver!.fault!.remedy, /restart the machine/);
  });

  test('a driver without cards says so; a library without a driver is no driver', (t) => {
    const empty = driverOf({ cards: [] }).driver!;
    assert.equal(empty.version, '580.65.06');
    assert.match(empty.fault!.why, /finds no card/);
    assert.match(empty.fault!.remedy, /docker run --gpus all/);
    assert.equal(driverOf({ fail: 9 }, { root: tempFolder(t)(''), smi: 'no-such-program' }).driver, null);
    const hidden = driverOf({ cards: [RTX_2060] }, { visible: '' }).driver!;
    assert.match(hidden.fault!.why, /CUDA_VISIBLE_DEVICES="" lets no card through/);
  });

  test('what each process holds on a card is its own figure', () => {
    const { nvml } = driverOf({ cards: [RTX_2060, { ...RTX_4090, process: 516 }] });
    process.env.FALSE_CARD_USERS = nvml;
    assert.equal(bytesOfProcesses({ uuid: 'GPU-3c4d' }, nvml).get(process.pid), 516 * MEBIBYTE);
    assert.deepEqual([...bytesOfProcesses({ uuid: 'GPU-1a2b' }, nvml)], []);
    const [first, second] = readNvidiaDriver({ nvml, visible: undefined })!.cards;
    assert.equal(first!.memory!.free, 6144 * MEBIBYTE);
    assert.ok(second!.memory!.free <= (24564 - 516) * MEBIBYTE);
    delete process.env.FALSE_CARD_USERS;
  });
});
