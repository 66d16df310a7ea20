/** The driver's answers where NVML cannot be called: from a substitute for its command and from its files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readNvidiaDriver } from '../../../src/machine/cards/nvidia.js';

function folder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'tandem-nvidia-'));
  t.after(() => rmSync(root, { recursive: true }));
  return root;
}

/** A program that prints what nvidia-smi printed. */
function smiThatPrints(t: TestContext, lines: string, status = 0): string {
  const file = join(folder(t), 'nvidia-smi');
  writeFileSync(file, `#!/bin/sh\ncat <<'END'\n${lines}\nEND\nexit ${status}\n`);
  chmodSync(file, 0o755);
  return file;
}

const TWO_CARDS = `550.54.14, 6144, 5900, GPU-1a2b, 00000000:01:00.0, 7.5, Disabled, [N/A], NVIDIA GeForce RTX 2060
550.54.14, [N/A], [N/A], GPU-3c4d, 0000000F:01:00.0, 12.1, Enabled, [N/A], NVIDIA GB10`;

/** Of a machine without NVML. */
function driverOf(t: TestContext, smi: string, visible?: string) {
  return readNvidiaDriver({ root: folder(t), smi, visible, nvml: null });
}

test('CUDA_VISIBLE_DEVICES selects the cards and their order', (t) => {
  const smi = smiThatPrints(t, TWO_CARDS);
  const names = (visible: string) => driverOf(t, smi, visible)?.cards.map(({ name }) => name);
  assert.deepEqual(names('1,0'), ['NVIDIA GB10', 'NVIDIA GeForce RTX 2060']);
  assert.deepEqual(names('GPU-3c'), ['NVIDIA GB10']);
  assert.deepEqual(names('0,7,1'), ['NVIDIA GeForce RTX 2060']);
  assert.deepEqual(names(''), []);
});

test('cards come in the driver’s order, with their memory', (t) => {
  const { version, cards } = driverOf(t, smiThatPrints(t, TWO_CARDS))!;
  assert.equal(version, '550.54.14');
  assert.deepEqual(
    cards.map(({ name, bus, kind, memory, hasDisplay }) => ({ name, bus, kind, memory, hasDisplay })),
    [
      {
        name: 'NVIDIA GeForce RTX 2060',
        bus: '0000:01:00.0',
        kind: 'discrete',
        memory: { total: 6144 * 2 ** 20, free: 5900 * 2 ** 20 },
        hasDisplay: false,
      },
      { name: 'NVIDIA GB10', bus: '000f:01:00.0', kind: 'integrated', memory: null, hasDisplay: true },
    ],
  );
});

test('of a card in MIG mode there is its part, with the memory in its name', (t) => {
  const row = '550.54.14, 40960, 40000, GPU-a1, 00000000:07:00.0, 8.0, Disabled, Enabled, NVIDIA A100';
  const list = `GPU 0: NVIDIA A100 (UUID: GPU-a1)\n  MIG 1g.5gb     Device  0: (UUID: MIG-aa)`;
  const smi = join(folder(t), 'nvidia-smi');
  writeFileSync(smi, `#!/bin/sh\nif [ "$1" = -L ]; then printf '${list}\\n'; else echo '${row}'; fi\n`);
  chmodSync(smi, 0o755);
  for (const visible of [undefined, 'MIG-aa', '0']) {
    const [part] = driverOf(t, smi, visible)!.cards;
    assert.deepEqual([part!.name, part!.memory!.total], ['MIG 1g.5gb', 5 * 2 ** 30]);
  }
});

test('words of the command are no version: no cards, and libraries of another version', (t) => {
  assert.equal(driverOf(t, smiThatPrints(t, 'No devices were found', 6)), null);
  const words = 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54';
  const driver = driverOf(t, smiThatPrints(t, words, 18))!;
  assert.deepEqual(driver.cards, []);
  assert.match(driver.fault!.remedy, /restart the machine/);
});

test('a command that hangs is ended, and not asked again', (t) => {
  const [count, smi] = [join(folder(t), 'count'), smiThatPrints(t, '')];
  writeFileSync(smi, `#!/bin/sh\necho >> ${count}\nexec sleep 60\n`);
  assert.equal(driverOf(t, smi), null);
  assert.equal(driverOf(t, smi), null);
  assert.equal(readFileSync(count, 'utf8'), '\n');
});

test('if the command fails or is absent, the driver’s files give name and version', (t) => {
  const root = folder(t);
  const card = join(root, 'proc/driver/nvidia/gpus/0000:01:00.0');
  mkdirSync(card, { recursive: true });
  writeFileSync(join(card, 'information'), 'Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 100\n');
  const version =
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  12\n';
  writeFileSync(join(root, 'proc/driver/nvidia/version'), version);
  for (const smi of [smiThatPrints(t, 'Failed to initialize NVML', 9), join(root, 'no-such-program')]) {
    const driver = readNvidiaDriver({ root, smi, visible: undefined, nvml: null })!;
    assert.equal(driver.version, '535.183.01');
    assert.deepEqual(
      driver.cards.map(({ name, bus, memory }) => [name, bus, memory]),
      [['NVIDIA H100 PCIe', '0000:01:00.0', null]],
    );
  }
});

test('the open kernel module has another version line', (t) => {
  const root = folder(t);
  mkdirSync(join(root, 'proc/driver/nvidia/gpus'), { recursive: true });
  const version =
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16)\n';
  writeFileSync(join(root, 'proc/driver/nvidia/version'), version);
  assert.equal(readNvidiaDriver({ root, smi: 'no-such-program', nvml: null })?.version, '550.54.14');
});

test('no driver is null', (t) => {
  assert.equal(driverOf(t, 'no-such-program'), null);
});

test('a program that is on the PATH is found there, and its cards are asked for once', {
  skip: readNvidiaDriver() !== null && 'this machine has a card',
}, (t) => {
  const count = join(folder(t), 'count');
  const smi = smiThatPrints(t, TWO_CARDS);
  writeFileSync(smi, `${readFileSync(smi, 'utf8').replace('cat', `echo >> ${count}\ncat`)}`);
  const code = `import { cardNames } from '${import.meta.resolve('../../../src/machine/cards/cards.js')}'; cardNames(); console.log(cardNames().join());`;
  const env = { PATH: [dirname(smi), '/usr/bin', '/bin'].join(delimiter) };
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code], { env, encoding: 'utf8' });
  assert.equal(printed, 'NVIDIA GeForce RTX 2060 (nvidia 550.54.14),NVIDIA GB10 (nvidia 550.54.14)\n');
  assert.equal(readFileSync(count, 'utf8'), '\n');
});
