/** tfjs on WebGPU: the adapter's name, and a card's failures as errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openProvider } from '../../../src/engine/tfjs/provider.js';
import { placementOf } from '../../../src/engine/webgpu-adapter.js';
import { useSoftwareCard } from '../../fixtures/software-card.js';

const { skip } = useSoftwareCard();

test('an adapter is called by its card and its driver', () => {
  const card = {
    vendor: 'nvidia',
    device: 'nvidia-geforce-rtx-2060',
    description: 'NVIDIA: 550.54.14',
    isFallbackAdapter: false,
  };
  assert.deepEqual(placementOf(card), {
    ranOn: 'gpu',
    deviceName: 'nvidia geforce rtx 2060 (NVIDIA: 550.54.14), through WebGPU',
  });
  assert.equal(placementOf({ ...card, device: '', description: '' }).deviceName, 'nvidia, through WebGPU');
  assert.equal(placementOf({ ...card, isFallbackAdapter: true }).ranOn, 'cpu');
});

interface Device {
  createBuffer(wanted: { size: number; usage: number }): object;
}

test('what the card cannot hold is an error, though WebGPU throws nothing', { skip }, async () => {
  const { tf, watch } = await openProvider('webgpu');
  const { device } = tf.backend() as unknown as { device: Device };
  const ask = (size: number, usage: number) => watch(async () => device.createBuffer({ size, usage }));
  await assert.rejects(ask(2 ** 50, 0x80), ({ code }: { code: string }) =>
    /TANDEM_(OUT_OF_MEMORY|ENGINE_FAILED)/.test(code),
  );
  await assert.rejects(ask(16, 0xffff), { code: 'TANDEM_ENGINE_FAILED', message: /WebGPU refused/ });
  assert.ok(await ask(16, 0x80));
});

test('one thread computes with one provider', { skip }, async () => {
  await openProvider('webgpu');
  await assert.rejects(openProvider('wasm'), { code: 'TANDEM_ENGINE_FAILED', message: /computes with webgpu already/ });
});
