/** The figures of a card, on a machine without one: nothing is measured, and the reason is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { readNvidiaDriver } from '../../src/plan/nvidia.js';

const script = resolve(import.meta.dirname, '../../scripts/gpu-figures.js');
const skip = readNvidiaDriver() !== null && 'a card is here';

test('without a card the script says what is missing and ends with 78', { skip }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  assert.equal(status, 78);
  assert.equal(stdout, '');
  assert.match(stderr, /no NVIDIA driver answers here/);
});
