/** What a session on a card ran on, from what the machine and ONNX Runtime's profile show. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notKnown, onCard, type Seen, type Work } from '../../../src/engine/onnxruntime/placement.js';
import type { Card } from '../../../src/machine/cards/card.js';

const RTX: Card = {
  ...{ maker: 'NVIDIA', name: 'NVIDIA GeForce RTX 2060', bus: '0000:01:00.0', kind: 'discrete', memory: null },
  ...{ hasDisplay: false, driver: 'nvidia 580.65.06', cuda: { index: 0, visibleAs: '0', computeCapability: '7.5' } },
};
const IRIS: Card = { ...RTX, maker: 'Intel', name: 'Intel Iris Xe', kind: 'integrated', driver: 'i915', cuda: null };

/** Debian's Mesa brings a driver for every maker, and the Vulkan loader loads them all. */
const MESA = ['libvulkan_radeon.so', 'libvulkan_intel.so', 'libvulkan_nouveau.so'].map((name) => `/usr/lib/${name}`);
const LAVAPIPE = '/usr/lib/libvulkan_lvp.so';
const SWIFTSHADER = '/usr/lib/chromium/libvk_swiftshader.so';

const never = () => assert.fail('nothing is to be asked');

function seen(cards: readonly Card[], libraries: readonly string[], adapter: Seen['adapter'] = never): { seen: Seen } {
  return { seen: { cards, libraries, adapter } };
}

function work(provider: string, there: readonly [number, number], cpu: readonly [number, number]): Map<string, Work> {
  const of = ([nodes, micros]: readonly [number, number]): Work => ({ nodes, micros });
  return new Map([
    [provider, of(there)],
    ['CPUExecutionProvider', of(cpu)],
  ]);
}

test('loaded drivers of cards prove nothing: without a card the software driver computes', () => {
  for (const software of [SWIFTSHADER, LAVAPIPE]) {
    const { ranOn, deviceName } = onCard('webgpu', null, seen([], [...MESA, software]));
    assert.equal(ranOn, 'cpu');
    assert.match(deviceName, /^(SwiftShader|lavapipe), a software adapter$/);
  }
});

test('a card is named as its driver does, not after another driver that is loaded', () => {
  assert.deepEqual(onCard('webgpu', null, seen([RTX, IRIS], MESA)), {
    ranOn: 'gpu',
    deviceName: 'NVIDIA GeForce RTX 2060, through WebGPU',
  });
  assert.equal(onCard('webgpu', null, seen([], [])).deviceName, 'the adapter that it chose, through WebGPU');
  assert.equal(
    onCard('cuda', null, { ...seen([IRIS, RTX], []), deviceIndex: 1 }).deviceName,
    `${RTX.name}, through CUDA`,
  );
});

test('where a card and a software driver are, the adapter itself is asked', () => {
  const swiftshader = { vendor: 'google', device: '', description: 'SwiftShader', isFallbackAdapter: true };
  const radeon = { vendor: 'amd', device: 'radeon-rx-6700', description: 'RADV', isFallbackAdapter: false };
  const libraries = [...MESA, LAVAPIPE];
  assert.equal(
    onCard(
      'webgpu',
      null,
      seen([IRIS], libraries, () => swiftshader),
    ).ranOn,
    'cpu',
  );
  assert.deepEqual(
    onCard(
      'webgpu',
      null,
      seen([IRIS], libraries, () => radeon),
    ),
    {
      ranOn: 'gpu',
      deviceName: 'radeon rx 6700 (RADV), through WebGPU',
    },
  );
});

test('where the environment leaves WebGPU a software driver only, a card in the machine does not count', (t) => {
  const before = process.env.VK_ICD_FILENAMES;
  t.after(() => {
    if (before === undefined) delete process.env.VK_ICD_FILENAMES;
    else process.env.VK_ICD_FILENAMES = before;
  });
  process.env.VK_ICD_FILENAMES = '/usr/lib/chromium/vk_swiftshader_icd.json';
  assert.equal(
    onCard(
      'webgpu',
      null,
      seen([RTX], [SWIFTSHADER], () => null),
    ).ranOn,
    'cpu',
  );
  delete process.env.VK_ICD_FILENAMES;
  delete process.env.VK_DRIVER_FILES;
  assert.equal(
    onCard(
      'webgpu',
      null,
      seen([RTX], [LAVAPIPE], () => null),
    ).deviceName,
    `${RTX.name}, through WebGPU`,
  );
});

test('of WebGPU and CUDA the nodes are counted, since their time is that of handing work to the card', () => {
  const most = onCard('webgpu', work('WebGpuExecutionProvider', [15, 10], [3, 900]), seen([RTX], []));
  assert.deepEqual(most, { ranOn: 'gpu', deviceName: `${RTX.name}, through WebGPU (15 of 18 ops)` });
  assert.equal(onCard('cuda', work('CUDAExecutionProvider', [3, 900], [15, 10]), seen([RTX], [])).ranOn, 'cpu');
});

test('Core ML and DirectML are judged by time: they fuse a part of the model into one node', () => {
  const fused = onCard('coreml', work('CoreMLExecutionProvider', [1, 900], [220, 100]), seen([], []));
  assert.deepEqual(fused, {
    ranOn: 'gpu',
    deviceName: 'the adapter that it chose, through Core ML (90 % of the time)',
  });
  const beside = onCard('directml', work('DmlExecutionProvider', [387, 100], [220, 900]), seen([], []));
  assert.equal(beside.ranOn, 'cpu');
  assert.match(beside.deviceName, /all but 10 % of the time/);
});

test('where a trial run failed nobody has seen the card', () => {
  const { ranOn, deviceName } = notKnown(new Error('axes do not match'));
  assert.equal(ranOn, 'unknown');
  assert.match(deviceName, /a trial run failed with "axes do not match"/);
});
