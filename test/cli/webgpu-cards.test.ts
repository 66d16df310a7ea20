/** A card by number or name for TensorFlow.js on WebGPU: Dawn is asked for it by its name, on a software adapter that a false NVML lists as the second card. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { isInstalled } from '../../src/engine/tfjs/installed.js';
import { type FalseCard, FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { tandem } from './tandem-process.js';

const card = useSoftwareCard();
const skip = card.skip || whyNoFalseLibraries() || (!isInstalled('webgpu') && 'tfjs on WebGPU is not installed');

const RTX: FalseCard = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', bus: '00000000:01:00.0', total: 6144 };
const SOFTWARE: FalseCard = { name: 'SwiftShader Device', uuid: 'GPU-2', bus: '00000000:02:00.0', total: 6144 };

describe('a card for tfjs on WebGPU', { skip }, () => {
  let libraries: FalseLibraries;
  before(async () => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
    await makeModel('mlp', `${libraries.folder}/mlp`);
    writeFileSync(
      `${libraries.folder}/rows.npy`,
      npyBytes({ descr: '<f4', shape: [8, 16], data: new Uint8Array(512) }),
    );
  });
  after(() => libraries[Symbol.dispose]());

  function run(device: string, ...cards: readonly FalseCard[]) {
    libraries.reports({ cards });
    const args = ['run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', '--force', '--allow-fallback', '-q'];
    return tandem([...args, '--stage', `${device},provider=webgpu`], {
      cwd: libraries.folder,
      env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder },
    });
  }

  test('the second card is taken by its number and by its name', async () => {
    for (const device of ['gpu:1', 'gpu:SwiftShader']) {
      const { status, stderr } = await run(device, RTX, SOFTWARE);
      assert.equal(status, 0, stderr);
    }
  });

  test('a card that WebGPU does not have is refused by its name, one that nobody has by its number', async () => {
    const absent = await run('gpu:1', SOFTWARE, { ...RTX, bus: '00000000:03:00.0' });
    assert.equal(absent.status, 78, absent.stderr);
    assert.match(absent.stderr, /WebGPU finds no card with the name "NVIDIA GeForce RTX 2060"/);
    const none = await run('gpu:5', RTX, SOFTWARE);
    assert.equal(none.status, 78, none.stderr);
    assert.match(none.stderr, /there is no card gpu:5/);
  });

  test('two cards with one name cannot be told apart', async () => {
    const { status, stderr } = await run('gpu:1', RTX, { ...RTX, uuid: 'GPU-3', bus: '00000000:04:00.0' });
    assert.equal(status, 78, stderr);
    assert.match(stderr, /cannot tell apart the cards named NVIDIA GeForce RTX 2060/);
  });
});
