/** The driver's answers, from a stand-in for its program and from its files. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readNvidiaDriver } from '../../src/plan/nvidia.js';

function folder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'tandem-nvidia-'));
  t.after(() => rmSync(root, { recursive: true }));
  return root;
}

/** A program that prints what nvidia-smi printed. */
function smiThatSays(t: TestContext, words: string, status = 0): string {
  const file = join(folder(t), 'nvidia-smi');
  writeFileSync(file, `#!/bin/sh\ncat <<'END'\n${words}\nEND\nexit ${status}\n`);
  chmodSync(file, 0o755);
  return file;
}

const TWO_CARDS =
  '550.54.14, 6144, 5900, GPU-1a2b, NVIDIA GeForce RTX 2060\n550.54.14, [N/A], [N/A], GPU-3c4d, NVIDIA GB10';

test('CUDA_VISIBLE_DEVICES says which cards there are, and in what order', (t) => {
  const smi = smiThatSays(t, TWO_CARDS);
  const names = (visible: string) => readNvidiaDriver(folder(t), smi, visible)?.cards.map(({ name }) => name);
  assert.deepEqual(names('1,0'), ['NVIDIA GB10', 'NVIDIA GeForce RTX 2060']);
  assert.deepEqual(names('GPU-3c'), ['NVIDIA GB10']);
  assert.deepEqual(names('0,7,1'), ['NVIDIA GeForce RTX 2060']);
  assert.deepEqual(names(''), []);
});

test('cards come in the driver’s order, with their memory', (t) => {
  const smi = smiThatSays(t, TWO_CARDS);
  assert.deepEqual(readNvidiaDriver(folder(t), smi, undefined), {
    version: '550.54.14',
    cards: [
      { name: 'NVIDIA GeForce RTX 2060', memory: { total: 6144 * 2 ** 20, free: 5900 * 2 ** 20 } },
      { name: 'NVIDIA GB10', memory: null },
    ],
  });
});

test('where the program fails or is absent, the driver’s own files tell name and version', (t) => {
  const root = folder(t);
  const card = join(root, 'proc/driver/nvidia/gpus/0000:01:00.0');
  mkdirSync(card, { recursive: true });
  writeFileSync(join(card, 'information'), 'Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 100\n');
  const version =
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  12\n';
  writeFileSync(join(root, 'proc/driver/nvidia/version'), version);
  const driver = { version: '535.183.01', cards: [{ name: 'NVIDIA H100 PCIe', memory: null }] };
  assert.deepEqual(readNvidiaDriver(root, smiThatSays(t, 'Failed to initialize NVML', 9)), driver);
  assert.deepEqual(readNvidiaDriver(root, join(root, 'no-such-program')), driver);
});

test('the open kernel module tells its version in other words', (t) => {
  const root = folder(t);
  mkdirSync(join(root, 'proc/driver/nvidia/gpus'), { recursive: true });
  const version =
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16)\n';
  writeFileSync(join(root, 'proc/driver/nvidia/version'), version);
  assert.equal(readNvidiaDriver(root, 'no-such-program')?.version, '550.54.14');
});

test('no driver is null', (t) => {
  assert.equal(readNvidiaDriver(folder(t), 'no-such-program'), null);
});
